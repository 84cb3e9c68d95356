use super::*;

fn wishes(seconds: u64) -> Wishes {
    Wishes {
        expires: Duration::from_secs(seconds),
        ..Wishes::default()
    }
}

fn renew(world: &mut World, client: &Client, seconds: u64) -> Reply {
    let name = SubscriptionName::Id(client.channel.clone());
    world.request(client.user, Request::Renew(name, wishes(seconds)))
}

#[test]
fn a_wish_is_granted_within_bounds() {
    let mut world = World::new();
    for (wish, granted) in [(0, 60), (62, 62), (3600, 3600), (u64::MAX, 3600)] {
        let reply = world.granted(ALICE, wishes(wish));
        assert_eq!(reply.expires, Duration::from_secs(granted));
    }
}

#[test]
fn a_subscription_lives_as_long_as_it_is_renewed() {
    let mut world = World::new();
    let alice = world.subscribe_with(ALICE, wishes(60));
    for _ in 0..100 {
        world.pass(Duration::from_secs(59));
        assert!(matches!(
            renew(&mut world, &alice, 60),
            Reply::Subscribed(_)
        ));
    }
    assert!(world.story(&alice).is_empty());
    world.pass(Duration::from_secs(60));
    assert_eq!(world.story(&alice), ["gone"]);
    let reply = renew(&mut world, &alice, 60);
    assert_eq!(reply, Reply::Refused(Refusal::NoSubscription));
    assert!(world.open(&alice.channel).is_none());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.closed, [(alice.socket, Close::Finished)]);
}

#[test]
fn somebody_elses_subscription_is_nobodys() {
    let mut world = World::new();
    let alice = world.subscribe(ALICE);
    let name = SubscriptionName::Id(alice.channel);
    let refused = Reply::Refused(Refusal::NoSubscription);
    let reply = world.request(BOB, Request::Unsubscribe(name.clone()));
    assert_eq!(reply, refused);
    assert_eq!(
        world.request(BOB, Request::Renew(name, wishes(60))),
        refused
    );
}

#[test]
fn after_unsubscribing_the_client_closes_the_socket_or_we_do() {
    let mut world = World::new();
    let (polite, other) = (world.subscribe(ALICE), world.subscribe(BOB));
    for client in [&polite, &other] {
        let name = SubscriptionName::Id(client.channel.clone());
        let reply = world.request(client.user, Request::Unsubscribe(name));
        assert_eq!(reply, Reply::Done);
    }
    assert!(world.closed.is_empty());
    world.lose(&polite);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.closed, [(other.socket, Close::Finished)]);
    assert!(
        world.story(&other).is_empty(),
        "it is not told that it is gone"
    );
}

#[test]
fn a_new_socket_replaces_the_old_one_and_gets_what_was_not_confirmed() {
    let mut world = World::new();
    let (door, mut alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    let mine = world.call(&door, ALICE);
    world.confirm(&alice);
    // Written into a socket that is already dead.
    world.end(&door, &mine);
    let old = alice.clone();
    world.reopen(&mut alice);
    assert_eq!(world.closed, [(old.socket, Close::Replaced)]);
    assert_eq!(world.story(&alice), ["callEnd 487"]);
    assert_eq!(world.story(&old), ["call offer", "callEnd 487"]);
    world.lose(&old);
    world.call(&door, ALICE);
    assert_eq!(world.story(&alice), ["call offer"]);
}

#[test]
fn a_client_that_missed_too_much_has_to_start_afresh() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    world.lose(&alice);
    // Two notifications a call, 64 wait.
    for _ in 0..32 {
        let mine = world.call(&door, ALICE);
        world.end(&door, &mine);
    }
    assert!(world.broker.knows(&alice.channel));
    world.call(&door, ALICE);
    assert!(!world.broker.knows(&alice.channel));
    world.settle();
    assert_eq!(world.broker.calls(), 0);
    assert_eq!(world.story(&door).pop().unwrap(), "callEnd 480");
}

#[test]
fn the_end_of_a_subscription_ends_its_calls_and_leaves_those_of_others() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    let (phone, tablet) = (world.subscribe(ALICE), world.subscribe(ALICE));
    world.call(&door, ALICE);
    let at_phone = world.incoming(&phone);
    let leave = |world: &mut World, client: &Client| {
        let name = SubscriptionName::Id(client.channel.clone());
        world.request(client.user, Request::Unsubscribe(name));
        world.settle();
    };
    leave(&mut world, &tablet);
    assert!(world.story(&door).is_empty(), "the phone still rings");
    world.answer(&phone, &at_phone);
    world.settle();
    assert_eq!(world.story(&door), ["ringing", "respondCallUpdate answer"]);
    leave(&mut world, &phone);
    assert_eq!(world.story(&door), ["callEnd 200"]);
}

#[test]
fn a_caller_that_leaves_while_it_rings_has_cancelled() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    world.call(&door, ALICE);
    let name = SubscriptionName::Id(door.channel);
    world.request(DOOR, Request::Unsubscribe(name));
    assert_eq!(world.story(&alice), ["call offer", "callEnd 487"]);
}

#[test]
fn forced_log_out_ends_the_others_with_their_calls() {
    let mut world = World::new();
    let (door, old) = (world.subscribe(DOOR), world.subscribe(ALICE));
    world.talk(&door, &old);
    let new = world.subscribe_with(
        ALICE,
        Wishes {
            force_log_out: true,
            ..wishes(3600)
        },
    );
    assert_eq!(world.story(&old), ["callEnd 200", "gone"]);
    assert_eq!(world.story(&door), ["callEnd 200"]);
    assert!(world.story(&new).is_empty());
}

#[test]
fn a_full_house_of_subscriptions_lets_abandoned_ones_go_first() {
    let mut world = World::with(|rules| rules.max_subscriptions = 2);
    let (first, second) = (world.subscribe(ALICE), world.subscribe(ALICE));
    let reply = world.request(ALICE, Request::Subscribe(wishes(60)));
    assert_eq!(reply, Reply::Refused(Refusal::TooManyClients));
    world.lose(&second);
    world.subscribe(ALICE);
    assert!(world.broker.knows(&first.channel));
    assert!(!world.broker.knows(&second.channel));
}

#[test]
fn the_same_correlator_is_the_same_client() {
    let mut world = World::new();
    let tablet = || Wishes {
        correlator: Some("tablet".to_owned()),
        ..wishes(60)
    };
    let old = world.subscribe_with(ALICE, tablet());
    let new = world.subscribe_with(ALICE, tablet());
    assert!(!world.broker.knows(&old.channel));
    let name = SubscriptionName::Correlator("tablet".to_owned());
    let Reply::Subscribed(granted) = world.request(ALICE, Request::Renew(name, tablet())) else {
        panic!("not renewed");
    };
    assert_eq!(granted.id, new.channel);
}
