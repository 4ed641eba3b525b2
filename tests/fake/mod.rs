//! The test support proves itself: a fake that lies would make every other test worthless.

mod access;
mod cutting;
mod faults;
mod ministack;
mod processes;
mod storage;
mod updates;

use std::io::{Cursor, Write};

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use aws_sdk_lambda::operation::update_function_code::{UpdateFunctionCodeError, UpdateFunctionCodeOutput};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::FunctionConfiguration;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::aws::{Credentials, FakeAws};
use crate::support::sdk;

type Updated = Result<UpdateFunctionCodeOutput, SdkError<UpdateFunctionCodeError, HttpResponse>>;

/// A zip of one file that everybody may read.
fn zip_of(name: &str, content: &str) -> Vec<u8> {
    zip_with_mode(name, content, 0o644)
}

fn zip_with_mode(name: &str, content: &str, mode: u32) -> Vec<u8> {
    zip_with(name, content, SimpleFileOptions::default().unix_permissions(mode))
}

fn zip_with(name: &str, content: &str, options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, options).unwrap();
    zip.write_all(content.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A fake with the function `orders`, whose code is `old`.
fn fake_with_orders() -> FakeAws {
    let fake = FakeAws::start();
    fake.create_function("orders", "old");
    fake
}

/// The SDK's client with these credentials.
fn client(fake: &FakeAws, credentials: &Credentials) -> Client {
    sdk::lambda(fake.endpoint(), fake.region(), &credentials.key_id, &credentials.secret)
}

async fn update(client: &Client, zip: &[u8]) -> Updated {
    client.update_function_code().function_name("orders").zip_file(Blob::new(zip)).send().await
}

async fn get(client: &Client) -> FunctionConfiguration {
    look(client).await.configuration.unwrap()
}

async fn look(client: &Client) -> GetFunctionOutput {
    client.get_function().function_name("orders").send().await.unwrap()
}

/// What was refused, as `status code: message`.
fn refusal<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E, HttpResponse>>) -> String {
    let error = result.err().expect("this call is refused");
    let status = error.raw_response().expect("this call is answered").status().as_u16();
    format!("{status} {}: {}", error.code().unwrap_or("-"), error.message().unwrap_or("-"))
}
