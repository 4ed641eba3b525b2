//! Makes the body of an UpdateFunctionCode request from a package, as a deployment does, and prints the zip's digest.
//!
//! `body PACKAGE SHA256 MEMORY`: the package is verified and what was learnt is kept in the file MEMORY; or, if
//! that is there, the package is trusted for it, as the daemon does when a second function comes of one package.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
};

use octarm::{
    aws::CodeWriter,
    conventions::Conventions,
    package::{Package, Verification},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [package, sha256, memory] = arguments.as_slice() else {
        return Err("usage: body PACKAGE SHA256 MEMORY".into());
    };
    let layout = Conventions::load(None)?.layout;
    let path = Path::new(package);
    let beside = path.parent().unwrap_or(Path::new("."));
    let package = Package::open(path, None, &layout, beside)?;
    let mut code = CodeWriter::new(tempfile::tempfile_in(beside)?)?;
    let repacked = if let Ok(text) = fs_err::read_to_string(memory) {
        let known: Verification = serde_json::from_str(&text)?;
        package.repack_remembered("", sha256, &known, &mut code)?
    } else {
        let (repacked, known) = package.repack_verified("", sha256, &mut code)?;
        fs_err::write(memory, serde_json::to_string(&known)?)?;
        repacked
    };
    let code = code.finish(repacked.sha256)?;
    writeln!(io::stdout(), "{} {}", hex::encode(code.sha256()), code.size())?;
    Ok(())
}
