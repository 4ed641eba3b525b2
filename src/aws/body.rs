//! Request bodies that are read from a file while they are sent, and how the SDK is made to send and sign them.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use aws_runtime::auth::PayloadSigningOverride;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::code::{BLOCK, Payload};

/// Something before the file, the file, something after it.
#[derive(Clone)]
pub(super) struct FileBody {
    opening: Bytes,
    file: Arc<File>,
    size: u64,
    is_encoded: bool,
    closing: Bytes,
    next: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Opening,
    File { at: u64 },
    Closing,
    End,
}

impl FileBody {
    /// The file as it is.
    pub(super) fn plain(file: Arc<File>, size: u64) -> Self {
        let (opening, closing) = (Bytes::new(), Bytes::new());
        Self { opening, file, size, is_encoded: false, closing, next: Part::Opening }
    }

    /// The file in base64, in between.
    pub(super) fn base64(file: Arc<File>, size: u64, opening: &'static [u8], closing: String) -> Self {
        let (opening, closing) = (Bytes::from_static(opening), Bytes::from(closing));
        Self { opening, file, size, is_encoded: true, closing, next: Part::Opening }
    }

    /// How many bytes it has in all.
    pub(super) fn length(&self) -> u64 {
        self.opening.len() as u64 + self.file_length(self.size) + self.closing.len() as u64
    }

    /// The same for the SDK, which may read it several times.
    pub(super) fn into_sdk(self) -> SdkBody {
        SdkBody::retryable(move || SdkBody::from_body_1_x(self.clone()))
    }

    fn file_length(&self, bytes: u64) -> u64 {
        if self.is_encoded { bytes.div_ceil(3) * 4 } else { bytes }
    }

    fn read(&self, at: u64) -> io::Result<Bytes> {
        let length = usize::try_from(self.size - at).map_or(BLOCK, |left| left.min(BLOCK));
        let mut block = vec![0; length];
        self.file.read_exact_at(&mut block, at)?;
        Ok(if self.is_encoded { STANDARD.encode(block).into() } else { block.into() })
    }
}

impl std::fmt::Debug for FileBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileBody({} bytes)", self.length())
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    /// Reads one block. The read is not handed to another thread: the file was written a moment ago and lies in the
    /// page cache, so that reading 48 KiB of it takes microseconds, less than the hand-over would.
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            let part = match self.next {
                Part::Opening => {
                    self.next = Part::File { at: 0 };
                    self.opening.clone()
                }
                Part::File { at } if at == self.size => {
                    self.next = Part::Closing;
                    continue;
                }
                Part::File { at } => match self.read(at) {
                    Ok(part) => {
                        self.next = Part::File { at: self.size.min(at + BLOCK as u64) };
                        part
                    }
                    Err(error) => {
                        self.next = Part::End;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                Part::Closing => {
                    self.next = Part::End;
                    self.closing.clone()
                }
                Part::End => return Poll::Ready(None),
            };
            if !part.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next == Part::End
    }

    fn size_hint(&self) -> SizeHint {
        let closing = self.closing.len() as u64;
        SizeHint::with_exact(match self.next {
            Part::Opening => self.length(),
            // Before the end of the file a block boundary is one of base64 too.
            Part::File { at } => self.file_length(self.size - at) + closing,
            Part::Closing => closing,
            Part::End => 0,
        })
    }
}

/// Puts a body that is read from a file in the place of the one that the SDK made, with its length and its digest.
/// Without the digest the SDK would sign a streamed body as unsigned, which Lambda does not take.
#[derive(Debug)]
pub(super) struct Streamed {
    payload: Payload,
}

impl Streamed {
    pub(super) fn new(payload: Payload) -> Self {
        Self { payload }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Streamed {
    fn name(&self) -> &'static str {
        "Streamed"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = &self.payload.body;
        let request = context.request_mut();
        request.headers_mut().insert("content-length", body.length().to_string());
        *request.body_mut() = body.clone().into_sdk();
        bag.interceptor_state().store_put(PayloadSigningOverride::Precomputed(self.payload.sha256.clone()));
        Ok(())
    }
}
