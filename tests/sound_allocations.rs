//! Once it runs, the sound path takes no memory from the allocator: a call of an hour
//! is 360,000 blocks, and an allocator's lock is no place to wait in 10 ms.
//!
//! That holds with the library of the echo control as it is below `third_party`; the
//! released one takes some fifty pieces a block.
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
use doorstation::media::sound::echo::EchoControl;
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
fn a_block_takes_none_with_echo_control_either() {
    let name = "a_block_takes_none_with_echo_control_either";
    with_card(name, EchoSettings::default(), |blocks, taken| {
        assert_eq!(taken, [0, 0], "in {blocks} blocks");
    });
}

#[test]
fn no_stage_of_the_echo_control_takes_any_whatever_is_said() {
    // What the library does now and then, it does within 20 s: gathers its figures
    // (10 s), looks at the noise (5 s), starts its voice detector anew (1.5 s).
    let all = EchoSettings::default();
    assert_eq!(taken_by_echo_control(all, 60), 0, "{all:?}");
    for stages in 1..7 {
        let settings = EchoSettings {
            echo_control: stages & 1 != 0,
            noise_suppression: stages & 2 != 0,
            automatic_gain: stages & 4 != 0,
        };
        assert_eq!(taken_by_echo_control(settings, 20), 0, "{settings:?}");
    }
}

#[test]
fn what_is_taken_is_counted() {
    let before = taken_here();
    drop(std::hint::black_box(vec![1_u8; 100]));
    drop(std::hint::black_box(vec![0_u8; 100]));
    assert_eq!(taken_here() - before, 2);
}

/// What this thread took so far.
fn taken_here() -> u64 {
    TAKEN[PLACE.get()].load(Relaxed)
}

/// What a fresh echo control takes from its first block on, in so many seconds of all
/// that happens at a door.
fn taken_by_echo_control(settings: EchoSettings, seconds: usize) -> u64 {
    let mut control = EchoControl::new(settings);
    let mut door = Door::new();
    let (mut played, mut heard) = ([0.0; BLOCK], [0.0; BLOCK]);
    let before = taken_here();
    for block in 0..seconds * 100 {
        door.next(block, &mut played, &mut heard);
        control.played(&played);
        // Every 7 s nobody listens for longer than the library keeps what was played: 1 s.
        if block % 700 >= 150 {
            control.captured(&mut heard);
        }
    }
    taken_here() - before
}

const BLOCK: usize = 480;

/// Two voices of noise, one of them out of the speaker, and the room between speaker
/// and microphone.
struct Door {
    dice: u32,
    /// The latest half second that was played.
    air: Box<[f32; 50 * BLOCK]>,
}

impl Door {
    fn new() -> Self {
        Self {
            dice: 1,
            air: Box::new([0.0; 50 * BLOCK]),
        }
    }

    /// In turn the far end speaks, both, the visitor, nobody, and both so loudly that
    /// the card clips. Every 15 s the echo comes at another time.
    fn next(&mut self, block: usize, played: &mut [f32; BLOCK], heard: &mut [f32; BLOCK]) {
        let second = block / 100;
        let (far, near) = [(0.2, 0.0), (0.2, 0.1), (0.0, 0.1), (0.0, 0.0), (1.0, 1.0)][second % 5];
        let delay = [600, 3_000, 12_000][second / 15 % 3];
        // Syllables of 0.2 s.
        let voice = (block as f32 * 0.157).sin().abs();
        for (index, (played, heard)) in played.iter_mut().zip(heard).enumerate() {
            let place = block * BLOCK + index;
            *played = far * voice * self.noise();
            self.air[place % (50 * BLOCK)] = *played;
            let echo = 0.5 * self.air[(place + 50 * BLOCK - delay) % (50 * BLOCK)];
            let visitor = near * (1.0 - voice) * self.noise();
            *heard = (echo + visitor + 0.001 * self.noise()).clamp(-1.0, 1.0);
        }
    }

    fn noise(&mut self) -> f32 {
        self.dice = self
            .dice
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        (self.dice >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
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
    for sequence in 0..300_u16 {
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
