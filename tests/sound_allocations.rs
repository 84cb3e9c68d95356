//! Once it runs, the sound path takes no memory from the allocator: a call of an hour
//! is 360,000 blocks, and an allocator's lock is no place to wait in 10 ms.
//!
//! One exception is known: the echo control's library (sonora 0.2) takes small pieces
//! for its own use in each block. How many is bounded here, so that a new version of
//! it that takes more, or ours that takes any, is noticed.
//!
//! The allocator of this program counts for each thread; the sound threads are found
//! by their names.
#![expect(
    unsafe_code,
    reason = "a global allocator can be written in no other way; it only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize};
use std::time::Duration;

use doorstation::media::Tone;
use doorstation::media::feed::{SoundCodec, Voices};
use doorstation::media::sound::virtual_card::{MicSource, VirtualCard};
use doorstation::media::sound::{EchoSettings, Sound, SoundSettings};
use doorstation::tasks::Tasks;
use tokio::sync::mpsc;
use tokio::time::timeout;

mod card;

const THREADS: usize = 64;

/// What each thread took, by the order of the threads' first allocations.
static TAKEN: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];
static IDS: [AtomicI32; THREADS] = [const { AtomicI32::new(0) }; THREADS];
static SEEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Counting;

fn count() {
    // A thread that ends has no place any more, and is none of ours.
    let _ = PLACE.try_with(|place| {
        if place.get() == usize::MAX {
            place.set(SEEN.fetch_add(1, Relaxed).min(THREADS - 1));
            let id = rustix::thread::gettid().as_raw_nonzero().get();
            IDS[place.get()].store(id, Relaxed);
        }
        TAKEN[place.get()].fetch_add(1, Relaxed);
    });
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the threads of this name took so far.
fn taken(name: &str) -> u64 {
    let of = |place: usize| {
        let id = IDS[place].load(Relaxed);
        let comm = std::fs::read_to_string(format!("/proc/self/task/{id}/comm"));
        (comm.is_ok_and(|comm| comm.trim_end() == name)).then(|| TAKEN[place].load(Relaxed))
    };
    let found: Vec<u64> = (0..SEEN.load(Relaxed).min(THREADS))
        .filter_map(of)
        .collect();
    assert_eq!(found.len(), 1, "one thread {name}");
    found[0]
}

const NAMES: [&str; 2] = ["sound-capture", "sound-playback"];
const GENEROUS: Duration = Duration::from_secs(60);

#[test]
fn a_block_of_sound_takes_no_memory() {
    let echo = EchoSettings::OFF;
    with_card("a_block_of_sound_takes_no_memory", echo, |blocks, taken| {
        assert_eq!(taken, [0, 0], "in {blocks} blocks");
    });
}

#[test]
fn the_echo_control_takes_a_bounded_number_of_pieces() {
    let name = "the_echo_control_takes_a_bounded_number_of_pieces";
    with_card(name, EchoSettings::default(), |blocks, taken| {
        println!("{taken:?} in {blocks} blocks");
        assert_eq!(taken[1], 0, "the speaker's thread");
        // 51.5 a block measured with sonora 0.2.0.
        assert!(
            taken[0] < 60 * (blocks + 20),
            "{taken:?} in {blocks} blocks"
        );
    });
}

/// Runs a call in a process of its own, and `check` with its blocks and what the two
/// threads took meanwhile.
fn with_card(name: &str, echo: EchoSettings, check: impl FnOnce(u64, [u64; 2])) {
    card::with_card(name, |directory| {
        let (blocks, taken) = talk(directory, echo);
        check(blocks, taken);
    });
}

/// The microphone's packets come back as a voice, and tones are played: all that a
/// call has.
#[tokio::main(flavor = "current_thread")]
async fn talk(directory: std::path::PathBuf, echo: EchoSettings) -> (u64, [u64; 2]) {
    let _card = VirtualCard::prepare(&directory, MicSource::Voice, None).expect("a card");
    let (inbox, _news) = mpsc::channel(16);
    let tasks = Tasks::new();
    let settings = SoundSettings {
        echo,
        ..VirtualCard::settings()
    };
    let sound = Sound::start(settings, inbox, &tasks).expect("sound");
    let mut microphone = sound.microphone(SoundCodec::Opus);
    let mut voice = sound.speaker();
    voice.set_audible(true);
    sound.play(Some(Tone::RingBack));
    let blocks = || sound.figures()["microphone_blocks"] as u64;
    let mut before = None;
    for sequence in 0..250_u16 {
        // What a busy machine misses is missed: the time stamps show it.
        let packet = timeout(GENEROUS, microphone.recv()).await.expect("in time");
        if let Ok(packet) = packet {
            sound.lost(0.1);
            voice.push(
                SoundCodec::Opus,
                sequence,
                packet.timestamp,
                packet.data.clone(),
            );
        }
        if sequence == 100 {
            before = Some((blocks(), NAMES.map(taken)));
        }
    }
    let (after, now) = (NAMES.map(taken), blocks());
    let (began, before) = before.expect("it was counted");
    assert!(now - began > 200, "{}", now - began);
    assert!(*voice.heard().borrow());
    timeout(GENEROUS, tasks.stop())
        .await
        .expect("the threads end");
    (now - began, [after[0] - before[0], after[1] - before[1]])
}
