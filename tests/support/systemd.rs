//! The socket on which systemd hears its units, and what came in on it.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use tempfile::TempDir;

use super::PATIENCE;

/// A socket that keeps what it hears.
pub(crate) struct NotifySocket {
    folder: TempDir,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    messages: Mutex<Vec<String>>,
    changed: Condvar,
}

impl NotifySocket {
    pub(crate) fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let heard = Arc::new(Heard::default());
        let hearing = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes) {
                let message = String::from_utf8(bytes[..length].to_vec()).unwrap();
                // Ours: the test is over.
                if message.is_empty() {
                    return;
                }
                hearing.messages.lock().unwrap().push(message);
                hearing.changed.notify_all();
            }
        });
        Self { folder, heard }
    }

    /// What `NOTIFY_SOCKET` is set to.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("notify")
    }

    /// All messages so far, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.messages.lock().unwrap().clone()
    }

    /// Waits until what was heard fulfils the condition; answers all of it.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&[String]) -> bool) -> Vec<String> {
        let messages = self.heard.messages.lock().unwrap();
        let waited =
            self.heard.changed.wait_timeout_while(messages, PATIENCE, |messages| !condition(messages));
        let (messages, waited) = waited.unwrap();
        let copy = messages.clone();
        drop(messages);
        assert!(!waited.timed_out(), "waited for {what}, in vain; heard {copy:?}");
        copy
    }

    /// Waits for a message with this text after the first `seen`; answers how many there were up to it.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str, seen: usize) -> usize {
        let after = |messages: &[String]| {
            let place = messages.iter().skip(seen).position(|message| message.contains(text));
            place.map(|place| seen + place + 1)
        };
        after(&self.wait_until(text, |messages| after(messages).is_some())).unwrap()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        let end = |path: &Path| UnixDatagram::unbound()?.send_to(&[], path);
        let _ = end(&self.path());
    }
}
