//! The client against the simulated relay, and against sockets that misbehave.

use tokio::net::UnixListener;

use super::*;
use crate::door::sim;
use crate::tasks::Tasks;

struct Bench {
    inbox: mpsc::Receiver<Input>,
    orders: mpsc::Sender<DoorOrder>,
    socket: PathBuf,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("relay.sock");
        let (inbox, inputs) = mpsc::channel(64);
        let (client, orders) = Client::new(socket.clone(), inbox);
        let tasks = Tasks::new();
        tasks.spawn("client", client.run());
        Self {
            inbox: inputs,
            orders,
            socket,
            tasks,
            _dir: dir,
        }
    }

    /// The next thing that is told, of those that `wanted` takes.
    async fn told<T>(&mut self, wanted: impl Fn(&Relay) -> Option<T>) -> T {
        let next = async {
            loop {
                let Some(Input::Relay(relay)) = self.inbox.recv().await else {
                    panic!("the client tells of the relay only");
                };
                if let Some(found) = wanted(&relay) {
                    return found;
                }
            }
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, next)
            .await
            .expect("told in time")
    }

    async fn here(&mut self) -> u32 {
        self.told(|relay| match relay {
            Relay::Here { link } => Some(*link),
            _ => None,
        })
        .await
    }

    async fn order(&self, link: u32, number: u32, length: Duration) {
        let order = DoorOrder::Pulse {
            link,
            number,
            length,
        };
        self.orders.send(order).await.expect("the client runs");
    }

    async fn answer(&mut self, wanted: u32) -> Result<(), Refused> {
        self.told(|relay| match relay {
            Relay::Opened { number } if *number == wanted => Some(Ok(())),
            Relay::Refused { number, refused } if *number == wanted => Some(Err(*refused)),
            _ => None,
        })
        .await
    }
}

const SHORT: Duration = Limits::SHORTEST;

#[tokio::test]
async fn an_order_is_one_pulse_and_its_answer_comes_back() {
    let mut bench = Bench::new();
    let line = sim::start(&bench.socket, &bench.tasks).expect("a socket");
    let link = bench.here().await;
    // The guardian's first second refuses; that is an answer, too.
    bench.order(link, 7, SHORT).await;
    let too_soon = bench.answer(7).await.expect_err("too soon");
    assert_eq!(too_soon.word(), "too-soon");
    tokio::time::sleep(Limits::GAP).await;
    bench.order(link, 8, SHORT).await;
    assert_eq!(bench.answer(8).await, Ok(()));
    let closed = |relay: &Relay| matches!(relay, Relay::State { open: false }).then_some(());
    bench.told(closed).await;
    assert_eq!(line.borrow().pulses, 1);
    assert!(!line.borrow().on);
    bench.tasks.stop().await;
}

#[tokio::test]
async fn it_beats_so_that_a_long_pulse_is_whole() {
    let mut bench = Bench::new();
    let line = sim::start(&bench.socket, &bench.tasks).expect("a socket");
    let link = bench.here().await;
    tokio::time::sleep(Limits::GAP).await;
    // Much longer than the silence that would end it, however slow the machine is.
    bench.order(link, 1, Limits::LONGEST).await;
    assert_eq!(bench.answer(1).await, Ok(()));
    tokio::time::sleep(Limits::SILENCE + Duration::from_millis(300)).await;
    assert!(line.borrow().on, "ended by silence");
    bench.tasks.stop().await;
}

#[tokio::test]
async fn tampering_reaches_the_guardian_at_once() {
    let mut bench = Bench::new();
    let line = sim::start(&bench.socket, &bench.tasks).expect("a socket");
    let link = bench.here().await;
    tokio::time::sleep(Limits::GAP).await;
    let tampered = DoorOrder::Tampered(true);
    bench.orders.send(tampered).await.expect("the client runs");
    bench.order(link, 1, SHORT).await;
    let locked = bench.answer(1).await.expect_err("locked");
    assert_eq!(locked.word(), "locked");
    assert_eq!(line.borrow().pulses, 0);
    bench.tasks.stop().await;
}

#[tokio::test]
async fn without_a_guardian_orders_are_refused_and_forgotten() {
    let mut bench = Bench::new();
    bench
        .told(|relay| (*relay == Relay::Lost).then_some(()))
        .await;
    bench.order(0, 1, SHORT).await;
    assert_eq!(bench.answer(1).await, Err(Refused::NoRelay));
    let line = sim::start(&bench.socket, &bench.tasks).expect("a socket");
    let link = bench.here().await;
    tokio::time::sleep(Limits::GAP).await;
    // One of an earlier connection, which came late.
    bench.order(link.wrapping_sub(1), 2, SHORT).await;
    assert_eq!(bench.answer(2).await, Err(Refused::NoRelay));
    assert_eq!(line.borrow().pulses, 0);
    bench.tasks.stop().await;
}

#[tokio::test]
async fn a_guardian_that_does_not_answer_is_left_and_tried_again() {
    let mut bench = Bench::new();
    let listener = UnixListener::bind(&bench.socket).expect("a socket");
    let (mut deaf, _) = listener.accept().await.expect("the client connects");
    let link = bench.here().await;
    bench.order(link, 1, SHORT).await;
    bench
        .told(|relay| (*relay == Relay::Lost).then_some(()))
        .await;
    let mut said = String::new();
    deaf.read_to_string(&mut said).await.expect("closed");
    assert!(said.contains("pulse 1 100\n"), "{said}");
    let (nonsense, _) = listener.accept().await.expect("it comes again");
    bench.here().await;
    nonsense.try_write(b"open sesame\n").expect("written");
    bench
        .told(|relay| (*relay == Relay::Lost).then_some(()))
        .await;
    bench.tasks.stop().await;
}
