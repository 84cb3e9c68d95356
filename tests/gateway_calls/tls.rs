//! HTTPS and WSS with the station's own CA.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorstation::gateway::{Gateway, Settings, Tls};
use doorstation::tasks::Tasks;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_tungstenite::Connector;

use crate::gateway_bench::{PATIENCE, settings, subscription};

fn local(dir: &Path) -> Settings {
    let mut settings = settings();
    settings.tls = Tls::Local {
        dir: dir.to_owned(),
        names: vec!["front.example.org".to_owned()],
    };
    settings
}

struct Running {
    address: std::net::SocketAddr,
    ca: Vec<u8>,
    tasks: Tasks,
}

async fn start(settings: Settings) -> Running {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tasks = Tasks::new();
    let gateway = Gateway::bind(settings, tasks.clone()).await.unwrap();
    let ca = gateway.ca_pem().map(<[u8]>::to_vec).unwrap_or_default();
    let address = gateway.local_addr();
    tasks.spawn_draining("gateway", gateway.run());
    Running { address, ca, tasks }
}

fn trusting(ca: &[u8]) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(ca).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_ca_speaks_https_and_wss() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(local(dir.path())).await;
    let http = trusting(&running.ca);
    let port = running.address.port();
    for name in ["localhost", "127.0.0.1"] {
        let page = http.get(format!("https://{name}:{port}/")).send().await;
        assert_eq!(page.unwrap().status(), 200, "{name}");
    }
    let url = format!("https://localhost:{port}/rest/version/1/user/alice@demo.local/subscription");
    let request = http.post(url).basic_auth("alice@demo.local", Some("alice"));
    let reply = request.json(&subscription(60)).send().await.unwrap();
    let reply: serde_json::Value = reply.json().await.unwrap();
    let channel = &reply["subscribeResponse"]["subscriptionParams"]["notificationChannel"];

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&running.ca).unwrap())
        .unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let url = format!("wss://localhost:{port}{}", channel.as_str().unwrap());
    let connector = Connector::Rustls(Arc::new(config));
    tokio_tungstenite::connect_async_tls_with_config(url, None, false, Some(connector))
        .await
        .unwrap();
    running.tasks.stop().await;
}

#[tokio::test]
async fn the_ca_is_offered_without_credentials_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(local(dir.path())).await;
    let http = trusting(&first.ca);
    let url = |path: &str| format!("https://localhost:{}{path}", first.address.port());
    let pem = http.get(url("/ca.pem")).send().await.unwrap();
    assert_eq!(pem.bytes().await.unwrap(), first.ca);
    let der = http.get(url("/ca.crt")).send().await.unwrap();
    assert_eq!(der.headers()["content-type"], "application/x-x509-ca-cert");
    let expected = CertificateDer::from_pem_slice(&first.ca).unwrap();
    assert_eq!(der.bytes().await.unwrap(), *expected);
    first.tasks.stop().await;

    let second = start(local(dir.path())).await;
    assert_eq!(second.ca, first.ca);
    let page = http.get(format!("https://localhost:{}/", second.address.port()));
    assert_eq!(page.send().await.unwrap().status(), 200);
    let mode = dir
        .path()
        .join("ca.key")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    second.tasks.stop().await;
}

#[tokio::test]
async fn a_leaf_near_its_end_is_replaced_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(local(dir.path())).await;
    first.tasks.stop().await;
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();

    // The same leaf, but with ten days left.
    let ca_key = rcgen::KeyPair::from_pem(&read("ca.key")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.crt"), ca_key).unwrap();
    let key = rcgen::KeyPair::from_pem(&read("leaf.key")).unwrap();
    let names = vec!["localhost".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    let ten_days = Duration::from_secs(10 * 24 * 60 * 60);
    params.not_after = (doorstation::clock::wall() + ten_days).into();
    let ending = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(dir.path().join("leaf.crt"), ending.pem()).unwrap();

    let second = start(local(dir.path())).await;
    assert_ne!(read("leaf.crt"), ending.pem());
    let http = trusting(&second.ca);
    let page = http.get(format!("https://localhost:{}/", second.address.port()));
    assert_eq!(page.send().await.unwrap().status(), 200);
    second.tasks.stop().await;
}

#[tokio::test]
async fn a_certificate_of_ones_own_decides_which_names_are_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let names = vec!["localhost".to_owned(), "*.house.example.org".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let mut settings = settings();
    settings.tls = Tls::Files { cert, key };
    let running = start(settings).await;
    assert!(running.ca.is_empty());
    let http = trusting(own.cert.pem().as_bytes());
    let port = running.address.port();
    for (host, status) in [("door.house.example.org", 200), ("other.example.org", 421)] {
        let page = http.get(format!("https://localhost:{port}/"));
        let page = page.header("host", host).send().await.unwrap();
        assert_eq!(page.status(), status, "{host}");
    }
    running.tasks.stop().await;
}

#[tokio::test]
async fn a_client_that_never_finishes_its_handshake_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = local(dir.path());
    settings.limits.connections = 4;
    let running = start(settings).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(
            tokio::net::TcpStream::connect(running.address)
                .await
                .unwrap(),
        );
    }
    let http = trusting(&running.ca);
    let page = http.get(format!("https://localhost:{}/", running.address.port()));
    let page = tokio::time::timeout(PATIENCE, page.send()).await.unwrap();
    assert_eq!(page.unwrap().status(), 200);
    running.tasks.stop().await;
    drop(silent);
}
