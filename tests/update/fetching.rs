//! Fetching from a server over TLS that breaks off, changes its file, or lies.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use doorstation::update::fetch::{Error, Order, fetch, forget};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// One answer: the bytes of a whole response, after which the connection breaks.
type Answers = Box<dyn Fn(usize, &str) -> Vec<u8> + Send + Sync>;

struct Server {
    address: String,
    ca: Vec<u8>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answers` makes the response to the request of this number.
    async fn start(answers: Answers) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let ca = certificate.pem().into_bytes();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = asked.clone();
        let number = AtomicUsize::new(0);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = tls.accept(stream).await else {
                    continue;
                };
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                record.lock().unwrap().push(request.clone());
                let answer = answers(number.fetch_add(1, Ordering::Relaxed), &request);
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            address: format!("https://localhost:{port}/door.raucb"),
            ca,
            asked,
        }
    }

    fn order(&self, folder: &Path) -> Order {
        Order {
            url: self.address.clone(),
            folder: folder.to_owned(),
            extra_ca_pem: Some(self.ca.clone()),
            largest: 1 << 20,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn bundle() -> Vec<u8> {
    (0..100_000_u32).map(|at| (at * 7 % 253) as u8).collect()
}

/// The whole file, or what is asked of it, of which only `sent` bytes come.
fn answer(request: &str, etag: &str, file: &[u8], sent: usize) -> Vec<u8> {
    let field = |name: &str| {
        let lines = request.lines();
        lines
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let from = field("range").and_then(|range| {
        let same = field("if-range").as_deref() == Some(etag);
        let from = range.strip_prefix("bytes=")?.strip_suffix('-')?.to_owned();
        from.parse::<usize>().ok().filter(|_| same)
    });
    let begin = from.unwrap_or(0);
    let body = &file[begin..];
    let mut head = match from {
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
        Some(from) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n",
            file.len() - 1,
            file.len()
        ),
    };
    head += &format!(
        "ETag: {etag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut all = head.into_bytes();
    all.extend(&body[..sent.min(body.len())]);
    all
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    let answers: Answers = Box::new(|number, request| {
        let sent = [30_000, 0, 1 << 20]
            .get(number)
            .copied()
            .unwrap_or_default();
        answer(request, "\"one\"", &bundle(), sent)
    });
    let server = Server::start(answers).await;
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let order = server.order(folder.path());
    let file = fetch(&order, &mut |fetched| seen.push(fetched.bytes))
        .await
        .unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bundle());
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(!asked[0].to_lowercase().contains("range:"), "{asked:?}");
    for later in &asked[1..] {
        let later = later.to_lowercase();
        assert!(later.contains("range: bytes=30000-"), "{later}");
        assert!(later.contains("if-range: \"one\""), "{later}");
    }
    assert!(seen.is_sorted(), "nothing was fetched twice: {seen:?}");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "the bundle and nothing else");
    forget(folder.path());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn another_command_goes_on_with_what_an_earlier_one_left() {
    let answers: Answers = Box::new(|number, request| match number {
        0 => answer(request, "\"one\"", &bundle(), 40_000),
        1 => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => answer(request, "\"one\"", &bundle(), 1 << 20),
    });
    let server = Server::start(answers).await;
    let folder = tempfile::tempdir().unwrap();
    let order = server.order(folder.path());
    let error = fetch(&order, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(!folder.path().join("bundle.raucb").exists());
    let file = fetch(&order, &mut |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bundle());
    assert!(
        server.asked()[2]
            .to_lowercase()
            .contains("range: bytes=40000-")
    );
}

#[tokio::test]
async fn a_file_that_changed_in_between_is_fetched_as_a_whole() {
    let newer: Vec<u8> = bundle().iter().map(|byte| byte ^ 0xff).collect();
    let whole = newer.clone();
    let answers: Answers = Box::new(move |number, request| match number {
        0 => answer(request, "\"one\"", &bundle(), 50_000),
        _ => answer(request, "\"two\"", &newer, 1 << 20),
    });
    let server = Server::start(answers).await;
    let folder = tempfile::tempdir().unwrap();
    let file = fetch(&server.order(folder.path()), &mut |_| {})
        .await
        .unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), whole);
}

#[tokio::test]
async fn a_part_that_does_not_fit_is_not_believed() {
    // It says that it goes on, and begins elsewhere.
    let answers: Answers = Box::new(|number, request| match number {
        0 => answer(request, "\"one\"", &bundle(), 50_000),
        1 => b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-99999/100000\r\n\
               Content-Length: 3\r\nConnection: close\r\n\r\nabc"
            .to_vec(),
        _ => answer(request, "\"one\"", &bundle(), 1 << 20),
    });
    let server = Server::start(answers).await;
    let folder = tempfile::tempdir().unwrap();
    let file = fetch(&server.order(folder.path()), &mut |_| {})
        .await
        .unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bundle());
}

#[tokio::test]
async fn more_than_a_bundle_is_not_taken_whatever_the_server_says() {
    let honest: Answers = Box::new(|_, request| answer(request, "\"one\"", &bundle(), 1 << 20));
    let quiet: Answers = Box::new(|_, _| {
        let mut all = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        all.extend(bundle());
        all
    });
    for answers in [honest, quiet] {
        let server = Server::start(answers).await;
        let folder = tempfile::tempdir().unwrap();
        let order = Order {
            largest: 60_000,
            ..server.order(folder.path())
        };
        let error = fetch(&order, &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge(60_000)), "{error}");
        assert!(!folder.path().join("bundle.raucb").exists());
        let part = std::fs::metadata(folder.path().join("bundle.part")).unwrap();
        assert!(part.len() <= 60_000, "{}", part.len());
    }
}

#[tokio::test]
async fn only_https_from_somebody_who_is_vouched_for() {
    let answers: Answers = Box::new(|_, request| answer(request, "\"one\"", &bundle(), 1 << 20));
    let server = Server::start(answers).await;
    let folder = tempfile::tempdir().unwrap();
    let stranger = Order {
        extra_ca_pem: None,
        ..server.order(folder.path())
    };
    let error = fetch(&stranger, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted(_)), "{error}");
    assert!(server.asked().is_empty(), "it was told something");
    for url in [
        "http://localhost/x",
        "ftp://localhost/x",
        "file:///etc/passwd",
    ] {
        let order = Order {
            url: url.to_owned(),
            ..server.order(folder.path())
        };
        let error = fetch(&order, &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, Error::Address(_)), "{url}: {error}");
    }
}
