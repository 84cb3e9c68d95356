//! The connection: login, socket, losses, bad input, the end.

use std::sync::Arc;
use std::time::Duration;

use doorstation::call::{Connection, Input, Sdp, Signal, SignalOrder};
use doorstation::ice;
use doorstation::secret::Secret;
use doorstation::signalling::kandy::{Client, Login, Trust};
use doorstation::tasks::Tasks;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::server::{Server, notification};
use crate::station::Station;

#[tokio::test]
async fn r11_1_r11_2_it_logs_in_opens_its_socket_and_pings() {
    let station = Station::connect().await;
    let subscribe = station.server.request("subscribe").await;
    assert_eq!(
        subscribe.path,
        "/rest/version/1/user/alice@demo.local/subscription"
    );
    // base64 of alice@demo.local:correct horse
    assert_eq!(
        subscribe.header("authorization"),
        "Basic YWxpY2VAZGVtby5sb2NhbDpjb3JyZWN0IGhvcnNl"
    );
    assert_eq!(
        subscribe.body,
        json!({"subscribeRequest": {"expires": 3600, "service": ["call"],
            "localization": "English_US", "useTurn": false, "notificationType": "WebSocket",
            "supported": ["RingingFeedback"]}})
    );
    let open = station.server.request("open").await;
    assert_eq!(open.path, "/notification/websocket/C1");
    let ping = station.server.request("frame").await;
    assert_eq!(ping.body, json!({"message_type": "ping"}));
    station.stop().await;
}

#[tokio::test]
async fn an_hmac_token_is_for_the_login_and_a_session_for_all_else() {
    let mut station = Station::new().await;
    let mut settings = station.settings();
    settings.login = Login::Hmac {
        token: Secret::new("t0ken"),
    };
    station.run_with(settings);
    station.until_connected().await;
    let subscribe = station.server.request("subscribe").await;
    assert_eq!(subscribe.header("x-token"), "t0ken");
    assert_eq!(subscribe.header("authorization"), "");
    station.start("b", "bob@demo.local").await;
    let start = station.server.request("callStart").await;
    // The usual reply names this session.
    assert_eq!(start.header("x-session"), "C1");
    assert_eq!(start.header("x-token"), "");
    station.stop().await;
}

#[tokio::test]
async fn a_bearer_token_is_on_requests_and_on_the_socket() {
    let mut station = Station::new().await;
    let mut settings = station.settings();
    settings.login = Login::Bearer {
        token: Secret::new("t0ken+/="),
    };
    station.run_with(settings);
    station.until_connected().await;
    let subscribe = station.server.request("subscribe").await;
    assert_eq!(subscribe.header("authorization"), "Bearer t0ken+/=");
    let open = station.server.request("open").await;
    assert_eq!(
        open.path,
        "/notification/websocket/C1?access_token=t0ken%2B%2F%3D"
    );
    station.stop().await;
}

/// 3.1: asked for only where they are wanted; each renewal may bring new ones, and a
/// call begins with the latest.
#[tokio::test]
async fn turn_credentials_are_asked_for_and_kept_up_to_date() {
    let servers = ice::Servers::new(vec![ice::Server {
        url: "turn:turn.example:3478".to_owned(),
        login: None,
    }]);
    let mut station = Station::new().await;
    let granted = |name: &str| {
        json!({"subscribeResponse": {"statusCode": 0, "subscription": "/sub/1",
            "subscriptionParams": {"expires": 3600, "service": ["call"],
                "notificationChannel": "/notification/websocket/C1", "turnActive": "true",
                "turnCredentials": {"username": name, "password": "p"}}}})
    };
    station.server.reply("subscribe", 200, granted("first"));
    station.server.reply("subscribe", 200, granted("second"));
    station.run_turn(servers.clone());
    station.until_connected().await;
    let subscribe = station.server.request("subscribe").await;
    assert_eq!(subscribe.body["subscribeRequest"]["useTurn"], true);
    let user = || {
        let [server] = servers.current().try_into().unwrap();
        let login: ice::Login = server.login.unwrap();
        login.username
    };
    assert_eq!(user(), "first");
    let gone = json!({"notificationMessage": {"eventType": "gone", "eventId": "g"}});
    station.server.send(gone.to_string());
    station.until_connected().await;
    assert_eq!(user(), "second");
    station.stop().await;
}

/// Nothing says how long credentials last, so a call that begins asks for new ones; it
/// waits for them, but not for a service that does not answer.
#[tokio::test]
async fn turn_credentials_are_refreshed_when_a_call_begins() {
    let servers = ice::Servers::new(vec![ice::Server {
        url: "turn:turn.example:3478".to_owned(),
        login: None,
    }]);
    let user = |servers: Vec<ice::Server>| {
        let [server] = servers.try_into().unwrap();
        let login: ice::Login = server.login.unwrap();
        login.username
    };
    let granted = |name: &str| {
        json!({"subscribeResponse": {"statusCode": 2,
            "subscriptionParams": {"expires": 3600, "service": ["call"],
                "notificationChannel": "/notification/websocket/C1",
                "turnCredentials": {"username": name, "password": "p"}}}})
    };
    let mut station = Station::new().await;
    station.server.reply("renew", 200, granted("first call"));
    station.run_turn(servers.clone());
    station.until_connected().await;
    assert_eq!(user(servers.fresh().await), "first call");
    // The next call is not half a minute away.
    assert_eq!(user(servers.fresh().await), "first call");
    station.server.request("renew").await;
    assert_eq!(station.server.count("renew"), 0);
    station.stop().await;
    // Nobody is there to be asked.
    assert_eq!(user(servers.fresh().await), "first call");
}

/// 8.1: `authentication.subscription` and `authentication.websocket` name a server each.
#[tokio::test]
async fn requests_and_notifications_may_have_servers_of_their_own() {
    let mut station = Station::new().await;
    let serving = Tasks::new();
    let notifier = Server::plain(&serving).await;
    let mut settings = station.settings();
    settings.websocket = format!("ws://{}", notifier.address);
    station.run_with(settings);
    station.until_connected().await;
    notifier.request("open").await;
    let call = json!({"sessionData": "L7", "sdp": "offer", "actions": ["answer"]});
    notifier.notify("call", call);
    let Input::Incoming(call) = station.next().await else {
        panic!("no call");
    };
    station.order(call.leg.as_str(), SignalOrder::Reject).await;
    station.server.request("reject").await;
    assert_eq!(station.server.count("open"), 0);
    assert_eq!(notifier.count("subscribe") + notifier.count("reject"), 0);
    station.stop().await;
    serving.stop().await;
}

#[tokio::test]
async fn an_authname_replaces_the_user_in_the_credentials_only() {
    let mut station = Station::new().await;
    let mut settings = station.settings();
    settings.login = Login::Basic {
        password: Secret::new("p"),
        authname: Some("door".to_owned()),
    };
    station.run_with(settings);
    let subscribe = station.server.request("subscribe").await;
    // base64 of door:p
    assert_eq!(subscribe.header("authorization"), "Basic ZG9vcjpw");
    assert!(subscribe.path.contains("/user/alice@demo.local/"));
    station.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_repeated_at_once() {
    let mut station = Station::new().await;
    let refusal = json!({"subscribeResponse": {"statusCode": 4}});
    station.server.reply("subscribe", 401, refusal);
    station.run();
    assert_eq!(station.connection().await, Connection::Connecting);
    let Connection::Refused(failure) = station.connection().await else {
        panic!("not refused");
    };
    assert_eq!(failure.code, "authentication:4");
    assert!(failure.message.contains("password"), "{failure:?}");
    assert!(
        failure
            .message
            .contains(&station.server.address.to_string()),
        "{failure:?}"
    );
    station.stop().await;
    assert_eq!(station.server.count("subscribe"), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_and_found_when_it_comes() {
    let mut station = Station::new().await;
    for _ in 0..2 {
        station
            .server
            .reply("subscribe", 500, json!("<html>out of order</html>"));
    }
    station.run();
    assert_eq!(station.connection().await, Connection::Connecting);
    let Connection::Lost(failure) = station.connection().await else {
        panic!("not lost");
    };
    assert_eq!(failure.code, "authentication:4");
    assert_eq!(station.connection().await, Connection::Connected);
    station.stop().await;
}

#[tokio::test]
async fn nobody_listening_is_said_in_words() {
    let mut station = Station::new().await;
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut settings = station.settings();
    settings.rest = format!("http://{address}");
    station.run_with(settings);
    assert_eq!(station.connection().await, Connection::Connecting);
    let Connection::Lost(failure) = station.connection().await else {
        panic!("not lost");
    };
    assert!(
        failure
            .message
            .to_lowercase()
            .contains("connection refused"),
        "{failure:?}"
    );
    assert!(
        failure.message.contains(&address.to_string()),
        "{failure:?}"
    );
    station.stop().await;
}

#[tokio::test]
async fn r4_1_a_broken_socket_is_opened_again_without_a_new_login_and_calls_go_on() {
    let mut station = Station::connect().await;
    station.up("b").await;
    station.server.drop_socket();
    let Connection::Lost(failure) = station.connection().await else {
        panic!("not lost");
    };
    assert_eq!(failure.code, "subscription:1");
    assert_eq!(station.connection().await, Connection::Connected);
    let state = station.server.request("state").await;
    assert!(state.path.ends_with("/callSessions/L1"), "{}", state.path);
    station.server.notify(
        "startCallUpdate",
        json!({"sessionData": "L1", "sdp": "offer"}),
    );
    let offered = Signal::UpdateOffered(Some(Sdp::new("offer")));
    assert_eq!(station.signal("b").await, offered);
    assert_eq!(station.server.count("subscribe"), 1);
    assert_eq!(station.server.count("open"), 2);
    station.stop().await;
}

#[tokio::test]
async fn a_call_that_the_server_forgot_while_the_socket_was_away_is_over() {
    let mut station = Station::connect().await;
    station.up("b").await;
    let forgotten = json!({"callControlResponse": {"statusCode": 47}});
    station.server.reply("state", 404, forgotten);
    station.server.drop_socket();
    assert!(matches!(station.connection().await, Connection::Lost(_)));
    assert_eq!(station.connection().await, Connection::Connected);
    let Signal::Ended { code, .. } = station.signal("b").await else {
        panic!("not ended");
    };
    assert_eq!(code, "47");
    station.stop().await;
}

#[tokio::test]
async fn r11_1_a_refused_upgrade_a_gone_and_a_close_with_1000_lead_to_a_new_login() {
    let mut station = Station::connect().await;
    station.server.request("subscribe").await;
    station.server.refuse_upgrade(403);
    station.server.drop_socket();
    station.server.request("subscribe").await;
    station.until_connected().await;
    let gone = json!({"notificationMessage": {"eventType": "gone", "eventId": "g"}});
    station.server.send(gone.to_string());
    station.server.request("subscribe").await;
    station.until_connected().await;
    station.server.close(1000);
    station.server.request("subscribe").await;
    station.until_connected().await;
    station.stop().await;
}

#[tokio::test]
async fn r11_2_bad_frames_are_dropped_and_the_socket_lives_on() {
    let mut station = Station::connect().await;
    let long = notification(
        "call",
        "long",
        json!({"sessionData": "L5", "sdp": "v".repeat(1024 * 1024)}),
    );
    let no_leg = notification("call", "no leg", json!({"sdp": "offer"}));
    let path = notification(
        "call",
        "path",
        json!({"sessionData": "../../../x", "sdp": "offer"}),
    );
    let mut nobody = notification(
        "call",
        "nobody",
        json!({"sessionData": "L6", "sdp": "offer"}),
    );
    nobody["notificationMessage"]["callNotificationParams"] = Value::Null;
    for frame in [
        long.to_string(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        json!({"notificationMessage": "hello"}).to_string(),
        json!({"notificationMessage": {"eventType": 7}}).to_string(),
        no_leg.to_string(),
        path.to_string(),
        nobody.to_string(),
        json!({"message_type": "pong"}).to_string(),
        notification("trying", "trying", json!({})).to_string(),
    ] {
        station.server.send(frame);
    }
    assert_eq!(station.called("L7").await.offer, Some(Sdp::new("offer")));
    assert_eq!(station.server.count("open"), 1, "still the first socket");
    station.stop().await;
}

#[tokio::test]
async fn a_station_that_does_not_listen_can_still_give_orders_and_loses_no_news() {
    const NEWS: usize = 2000;
    let mut station = Station::connect().await;
    station.up("b").await;
    // Far more than the inbox and all that is between us and the server can hold
    // without somebody waiting.
    for _ in 0..NEWS {
        let offer = json!({"sessionData": "L1", "sdp": "v".repeat(4096)});
        station.server.notify("startCallUpdate", offer);
    }
    station.start("c", "carol@demo.local").await;
    station.server.request("callStart").await;
    station.server.request("callStart").await;
    let mut seen = 0;
    while seen < NEWS {
        match station.next().await {
            Input::Signal(_, Signal::UpdateOffered(_)) => seen += 1,
            Input::Signal(leg, Signal::Started) => assert_eq!(leg.as_str(), "c"),
            other => panic!("{other:?}"),
        }
    }
    station.stop().await;
}

#[tokio::test]
async fn at_the_end_it_ends_its_calls_logs_out_and_closes_the_socket() {
    let mut station = Station::connect().await;
    station.up("b").await;
    station.called("L7").await;
    let began = doorstation::clock::now();
    station.stop().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    let end = station.server.request("end").await;
    assert!(
        end.path.contains("/L1?reasonText=The%20door%20station"),
        "{}",
        end.path
    );
    station.server.request("reject").await;
    station.server.request("unsubscribe").await;
    assert_eq!(station.server.request("close").await.body, json!(1000));
}

#[tokio::test]
async fn a_server_that_hangs_does_not_hold_up_the_end() {
    let mut station = Station::connect().await;
    station.up("b").await;
    let _holds = [
        station.server.hold("end"),
        station.server.hold("unsubscribe"),
    ];
    let began = doorstation::clock::now();
    station.stop().await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1500),
        "it gave up at once: {took:?}"
    );
    assert!(took < Duration::from_secs(4), "{took:?}");
    station.server.request("unsubscribe").await;
}

#[tokio::test]
async fn over_tls_it_trusts_the_named_authority_and_no_other() {
    let (ca_pem, acceptor) = authority();
    let tasks = Tasks::new();
    let server = Server::tls(&tasks, acceptor).await;
    let mut station = Station::with(server, tasks);
    let mut settings = station.settings();
    settings.rest = format!("https://{}", station.server.address);
    settings.websocket = format!("wss://{}", station.server.address);
    settings.trust = Trust::PublicAnd(ca_pem.into_bytes());
    station.run_with(settings.clone());
    station.until_connected().await;
    station.start("b", "bob@demo.local").await;
    assert_eq!(station.signal("b").await, Signal::Started);

    let (inbox, mut news) = mpsc::channel(8);
    let (_orders, taken) = mpsc::channel(8);
    settings.trust = Trust::Public;
    let stranger = Client::new(settings, inbox, station.tasks.clone()).unwrap();
    station
        .tasks
        .spawn_draining("stranger", stranger.run(taken));
    let failure = loop {
        match news.recv().await.unwrap() {
            Input::Connection(_, Connection::Connecting) => {}
            Input::Connection(_, Connection::Lost(failure)) => break failure,
            other => panic!("{other:?}"),
        }
    };
    assert!(failure.message.contains("is not trusted"), "{failure:?}");
    station.stop().await;
}

/// A new authority (PEM), and a server of 127.0.0.1 that it vouches for.
fn authority() -> (String, tokio_rustls::TlsAcceptor) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    (ca_pem, tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}
