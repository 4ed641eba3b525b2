//! Pushing packages.

use std::time::Duration;

use reqwest::{Method, multipart};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::TestServer;
use crate::support::{
    PATIENCE,
    packages::{Producer, Raw, nupkg, tar_gz, zip},
    server::{Answer, package},
};

#[tokio::test]
async fn three_ways_to_push_what_exists() {
    let server = TestServer::start().await;
    let pushed = server.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
    assert_eq!(pushed["Id"], "packages-Orders.1.0.0");
    assert_eq!((&pushed["Version"], &pushed["FileExtension"]), (&"1.0.0".into(), &".zip".into()));
    let text = server.push("orders.1.0.zip", b"two", "").await.refused(409);
    assert!(text.contains("package `Orders` version `1.0.0` exists already"), "{text}");
    assert_eq!(fs_err::read_dir(server.data.join("packages")).unwrap().count(), 1);
    let kept = server.push("Orders.1.0.0.zip", b"two", "?overwriteMode=IgnoreIfExists").await.expect(200);
    assert_eq!(kept["Hash"], pushed["Hash"]);
    let replaced =
        server.push("Orders.1.0.0.zip", b"two", "?overwriteMode=OverwriteExisting").await.expect(201);
    assert_ne!(replaced["Hash"], pushed["Hash"]);
    server.push("Orders.1.0.0.zip", b"three", "?replace=true").await.expect(201);
    for id in ["packages-Orders.1.0.0", "Orders.1.0.0"] {
        server.get(&format!("packages/{id}")).await.expect(200);
        let raw = server.request(Method::GET, &format!("packages/{id}/raw")).send().await.unwrap();
        assert_eq!(raw.bytes().await.unwrap(), package(b"three"));
    }
    assert!(
        server.push("Orders.1.0.0.zip", b"", "?overwriteMode=Perhaps").await.refused(400).contains("perhaps")
    );
}

#[tokio::test]
async fn the_latest_is_the_highest_by_version_order() {
    let server = TestServer::start().await;
    for version in ["1.9.0", "1.10.0-rc.1", "1.10.0-rc.2", "1.2.0"] {
        server.push(&format!("Orders.{version}.zip"), b"x", "").await.expect(201);
    }
    let latest = server.get("packages?nuGetPackageId=orders&latest=true").await.expect(200);
    assert_eq!(latest["Items"][0]["Version"], "1.10.0-rc.2");
    assert_eq!(latest["TotalResults"], 1);
}

#[tokio::test]
async fn what_has_no_package_name_is_refused_with_the_reason() {
    let server = TestServer::start().await;
    let text = server.push("orders.txt", b"x", "").await.refused(400);
    assert!(text.starts_with("package `orders.txt` cannot be taken: "), "{text}");
    let form = multipart::Form::new().text("note", "no file");
    let request = server.request(Method::POST, "packages/raw").multipart(form);
    assert!(Answer::of(request).await.refused(400).contains("holds no file"));
    assert_eq!(fs_err::read_dir(server.data.join("packages")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_cut_upload_leaves_nothing() {
    let server = TestServer::start().await;
    let address = server.address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/packages/raw HTTP/1.1\r\nHost: x\r\nX-Octopus-ApiKey: {}\r\nContent-Type: multipart/form-data; \
         boundary=B\r\nContent-Length: 100000\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; \
         filename=\"Orders.1.0.0.zip\"\r\n\r\n",
        server.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![7; 50_000]).await.unwrap();
    let folder = server.data.join("packages");
    let count = |wanted: usize| {
        let folder = folder.clone();
        let wait = async move {
            while fs_err::read_dir(&folder).unwrap().count() != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
    };
    count(1).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    drop(stream);
    count(0).await.unwrap();
    server.get("packages/Orders.1.0.0").await.refused(404);
}

#[tokio::test]
async fn what_no_worker_could_deploy_is_refused_and_leaves_nothing() {
    let server = TestServer::start().await;
    let other = nupkg(Producer::NuGet, "Orders", "2.0.0", &[("a.js", "a")]);
    for (file, bytes, parts) in [
        (
            "Orders.1.0.0.zip",
            b"this is no zip".to_vec(),
            ["reading the zip directory of `Orders.1.0.0.zip`", "zip"],
        ),
        ("Orders.1.0.0.zip", zip(&[Raw::new("../a", "a")]), ["`../a`", "`Orders.1.0.0.zip` holds"]),
        (
            "Orders.1.0.0.nupkg",
            zip(&[Raw::new("a", "a")]),
            ["the NuGet manifest of `Orders.1.0.0.nupkg`", "nuspec"],
        ),
        ("Orders.1.0.0.nupkg", zip(&other), ["`Orders.1.0.0.nupkg` says Orders 1.0.0", "says Orders 2.0.0"]),
        (
            "Orders.1.0.0.jar",
            package(b"a"),
            ["is a .jar package", "expected .nupkg, .zip, .tar, .tar.gz, .tgz or .tar.bz2"],
        ),
        (
            "Orders.1.0.0.tar.gz",
            package(b"a"),
            ["`Orders.1.0.0.tar.gz` is not a sound tar", "it holds zip data"],
        ),
        (
            "Orders.1.0.0.tgz",
            tar_gz(&[("a", "x")])[..60].to_vec(),
            ["the gzip data of `Orders.1.0.0.tgz` is damaged", "incomplete"],
        ),
    ] {
        let text = server.push_bytes(file, &bytes, "").await.refused(400);
        assert!(text.starts_with(&format!("package `{file}` cannot be taken: ")), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains(server.data.to_str().unwrap()), "{text}");
    }
    assert_eq!(fs_err::read_dir(server.data.join("packages")).unwrap().count(), 0);
    assert_eq!(server.get("packages").await.expect(200)["TotalResults"], 0);
    server.push_bytes("Orders.2.0.0.nupkg", &zip(&other), "").await.expect(201);
}

#[tokio::test]
async fn a_tar_is_kept_as_it_was_pushed() {
    let server = TestServer::start().await;
    let bytes = tar_gz(&[("index.js", "a")]);
    let pushed = server.push_bytes("Orders.1.0.0.tar.gz", &bytes, "").await.expect(201);
    assert_eq!((&pushed["Version"], &pushed["FileExtension"]), (&"1.0.0".into(), &".tar.gz".into()));
    let raw = server.request(Method::GET, "packages/Orders.1.0.0/raw").send().await.unwrap();
    assert_eq!(raw.bytes().await.unwrap(), bytes);
    // Nothing of what was spooled to check it is left.
    assert_eq!(fs_err::read_dir(server.data.join("packages")).unwrap().count(), 1);
}

#[tokio::test]
async fn two_files_in_one_upload_are_refused() {
    let server = TestServer::start().await;
    let part = |name: &'static str| multipart::Part::bytes(package(b"a")).file_name(name);
    let form = multipart::Form::new().part("a", part("A.1.0.0.zip")).part("b", part("B.1.0.0.zip"));
    let request = server.request(Method::POST, "packages/raw").multipart(form);
    let text = Answer::of(request).await.refused(400);
    assert_eq!(text, "the upload holds `A.1.0.0.zip` and `B.1.0.0.zip`: send one file at a time");
    assert_eq!(fs_err::read_dir(server.data.join("packages")).unwrap().count(), 0);
}

/// Clients that read nothing before all is sent hear the reason all the same.
#[tokio::test]
async fn a_refused_push_is_read_to_its_end_and_the_connection_stays() {
    let server = TestServer::start().await;
    let length = 20_000_000;
    for (key, path, answer) in [
        ("API-WRONGWRONGWRONG", "packages/raw", "HTTP/1.1 401 "),
        (server.key.as_str(), "packages/raw?overwriteMode=Perhaps", "HTTP/1.1 400 "),
        (&server.key, "nowhere", "HTTP/1.1 404 "),
        (&server.key, "environments", "HTTP/1.1 413 "),
    ] {
        let mut stream = TcpStream::connect(server.address.strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!(
            "POST /api/{path} HTTP/1.1\r\nHost: x\r\nX-Octopus-ApiKey: {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; length]).await.unwrap();
        stream.write_all(b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut received = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut received)).await.unwrap().unwrap();
        assert!(received.starts_with(answer), "{received}");
        assert_eq!(received.matches("HTTP/1.1 ").count(), 2, "{received}");
    }
}

#[tokio::test]
async fn who_falls_silent_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = TestServer::settings(&folder).await;
    settings.request_within = Duration::from_millis(200);
    settings.upload_silence = Duration::from_millis(200);
    let server = TestServer::with(settings).await;
    let head = |path: &str, kind: &str| {
        format!(
            "POST /api/{path} HTTP/1.1\r\nHost: x\r\nX-Octopus-ApiKey: {}\r\nContent-Type: {kind}\r\n\
             Content-Length: 100000\r\n\r\n",
            server.key
        )
    };
    let upload = head("packages/raw", "multipart/form-data; boundary=B")
        + "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"Orders.1.0.0.zip\"\r\n\r\nPK";
    for (sent, answer) in [
        (String::new(), ""),
        ("P".to_owned(), ""),
        ("GET /api HTTP/1.1\r\nHost: ".to_owned(), ""),
        (head("environments", "application/json") + "{", "HTTP/1.1 408 "),
        (upload, "HTTP/1.1 408 "),
    ] {
        let mut stream = TcpStream::connect(server.address.strip_prefix("http://").unwrap()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await;
        assert!(closed.is_ok(), "the connection stays open after {sent:?}");
        let received = String::from_utf8(received).unwrap();
        assert!(
            received.starts_with(answer) && received.is_empty() == answer.is_empty(),
            "{sent:?}: {received}"
        );
    }
    assert_eq!(fs_err::read_dir(server.data.join("packages")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_package_that_a_release_is_made_of_is_not_deleted() {
    let server = TestServer::ready().await;
    server.push("Orders.1.1.0.zip", b"two", "").await.expect(201);
    server.push("Orders.1.2.0.zip", b"three", "").await.expect(201);
    let body = serde_json::json!({ "ProjectName": "Orders", "ReleaseVersion": "7", "Packages": ["*:1.1.0"] });
    server.post("releases/create/v1", body).await.expect(201);
    // The row is another one now, and still the package of the release.
    server.push("Orders.1.1.zip", b"four", "?replace=true").await.expect(201);
    for path in ["packages/packages-Orders.1.1", "packages/bulk?ids=Orders.1.0.0,packages-Orders.1.1"] {
        let text = server.delete(path).await.refused(409);
        assert_eq!(
            text,
            "package `Orders` version `1.1` cannot be deleted: release 7 of project `Orders` is made of it"
        );
    }
    server.get("packages/Orders.1.0.0").await.expect(200);
    server.delete("packages/Orders.1.0.0").await.expect(200);
    server.delete("packages/Orders.1.0.0").await.refused(404);
    assert!(server.delete("packages/bulk").await.refused(400).contains("`ids` is missing"));
    server.delete("packages/bulk?ids=Orders.1.2.0").await.expect(200);
    assert_eq!(server.get("packages").await.expect(200)["TotalResults"], 1);
    // A deleted version is free again.
    server.push("Orders.1.2.0.zip", b"five", "").await.expect(201);
}

#[tokio::test]
async fn bytes_that_the_disk_has_damaged_are_repaired_by_a_push() {
    let server = TestServer::start().await;
    let pushed = server.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
    let folder = server.data.join("packages");
    let file = fs_err::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut damaged = fs_err::read(&file).unwrap();
    damaged[30] ^= 1;
    fs_err::write(&file, damaged).unwrap();
    let again = server.push("Orders.1.0.0.zip", b"one", "?overwriteMode=OverwriteExisting").await.expect(201);
    assert_eq!(again["Hash"], pushed["Hash"]);
    assert_eq!(fs_err::read(&file).unwrap(), package(b"one"));
}
