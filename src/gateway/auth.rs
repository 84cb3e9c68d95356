//! Who is asking: HTTP Basic credentials against the users of the settings
//! (section 2).
//!
//! Every request carries the password. It is verified once (argon2 takes tens of
//! milliseconds by design, away from the async threads) and then recognised by a
//! keyed hash. What a wrong guess hears does not depend on whether the user exists.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::hmac;
use tokio::sync::Semaphore;

use super::Error;
use super::broker::Directory;
use super::guesses::Guesses;
use crate::clock;
use crate::secret::Secret;

/// How a user's password is kept.
#[derive(Clone, Debug)]
pub enum Password {
    /// As it is: for a demonstration that makes its own.
    Plain(Secret),
    /// As an argon2id PHC string (`$argon2id$v=19$...`).
    Argon2(Secret),
}

/// argon2 runs at one time. One takes about 20 MiB for tens of milliseconds; a flood
/// of log-ins must not take the memory or the cores of the calls.
const VERIFIERS: usize = 2;
/// Longest `user:password` that is looked at.
const MAX_CREDENTIALS: usize = 1024;
/// Verified for a user who does not exist, so that the time tells nothing; made of
/// random bytes, no password is known for it. Parameters: argon2's defaults
/// (19 MiB, two passes), which OWASP recommends too.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$ZG9vcnN0YXRpb24tbm9ib2R5$\
                      q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";

/// The credentials are missing or wrong, or there were too many wrong ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denied;

pub(super) struct Auth {
    directory: Arc<Directory>,
    accounts: BTreeMap<String, Account>,
    nobody: Account,
    /// Of this process: what is remembered is useless outside.
    key: hmac::Key,
    /// The last right password of each user, as a tag.
    known: Mutex<HashMap<String, hmac::Tag>>,
    guesses: Mutex<Guesses>,
    verifiers: Semaphore,
}

/// What a password is verified against.
#[derive(Clone)]
enum Account {
    Plain(Secret),
    Argon2(Arc<PasswordHash>),
}

impl Auth {
    /// # Errors
    ///
    /// A password hash is not a PHC string.
    pub(super) fn new(
        directory: Arc<Directory>,
        passwords: impl IntoIterator<Item = (String, Password)>,
    ) -> Result<Self, Error> {
        let mut accounts = BTreeMap::new();
        for (address, password) in passwords {
            let account = match password {
                Password::Plain(secret) => Account::Plain(secret),
                Password::Argon2(phc) => match PasswordHash::new(phc.expose()) {
                    Ok(hash) => Account::Argon2(Arc::new(hash)),
                    Err(_) => return Err(Error::PasswordHash { address }),
                },
            };
            accounts.insert(address, account);
        }
        let hashed = |account: &Account| matches!(account, Account::Argon2(_));
        let nobody = match PasswordHash::new(NOBODY) {
            Ok(hash) if accounts.values().any(hashed) => Account::Argon2(Arc::new(hash)),
            Ok(_) | Err(_) => Account::Plain(Secret::new(random_text())),
        };
        Ok(Self {
            directory,
            accounts,
            nobody,
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            known: Mutex::default(),
            guesses: Mutex::default(),
            verifiers: Semaphore::new(VERIFIERS),
        })
    }

    /// The address of the user whose credentials `header` carries.
    pub(super) async fn check(
        &self,
        header: Option<&HeaderValue>,
        from: IpAddr,
    ) -> Result<String, Denied> {
        let (name, password) = header.and_then(basic).ok_or(Denied)?;
        let user = self.directory.find(&name).map(|p| p.address.clone());
        // One count for all spellings, of strangers too: otherwise a name whose
        // second spelling is held up would be known to exist.
        let counted = self.directory.spelling(&name);
        if let Some(user) = &user
            && lock(&self.guesses).may_return(&counted, from, clock::now())
            && self.knows(user, &password)
        {
            return Ok(user.clone());
        }
        if !lock(&self.guesses).may_try(&counted, from, clock::now()) {
            tracing::debug!(address = %from, "too many wrong passwords; not even looking");
            return Err(Denied);
        }
        lock(&self.guesses).begin(&counted, from, clock::now());
        let verified = self.verify(user.as_deref(), &password).await;
        let Some(user) = user.filter(|_| verified) else {
            tracing::debug!(address = %from, "wrong user or password");
            return Err(Denied);
        };
        lock(&self.guesses).right(&counted, from);
        lock(&self.known).insert(user.clone(), self.tag(&user, &password));
        Ok(user)
    }

    fn knows(&self, user: &str, password: &Secret) -> bool {
        let known = lock(&self.known).get(user).copied();
        known.is_some_and(|tag| {
            hmac::verify(&self.key, &message(user, password), tag.as_ref()).is_ok()
        })
    }

    fn tag(&self, user: &str, password: &Secret) -> hmac::Tag {
        hmac::sign(&self.key, &message(user, password))
    }

    async fn verify(&self, user: Option<&str>, password: &Secret) -> bool {
        let account = user.and_then(|user| self.accounts.get(user));
        match (account.unwrap_or(&self.nobody), &self.nobody) {
            (Account::Argon2(hash), _) => self.verify_hash(hash.clone(), password).await,
            (Account::Plain(right), _) if self.is_same(right, password) => true,
            (Account::Plain(_), Account::Plain(_)) => false,
            // Where one password is hashed, a wrong guess takes the time of a hash
            // whoever it is for: an early answer would say that the user exists.
            (Account::Plain(_), Account::Argon2(nobody)) => {
                self.verify_hash(nobody.clone(), password).await;
                false
            }
        }
    }

    /// Compares tags of equal length, in constant time.
    fn is_same(&self, right: &Secret, password: &Secret) -> bool {
        let tag = self.tag("", right);
        hmac::verify(&self.key, &message("", password), tag.as_ref()).is_ok()
    }

    async fn verify_hash(&self, hash: Arc<PasswordHash>, password: &Secret) -> bool {
        let Ok(_permit) = self.verifiers.acquire().await else {
            return false;
        };
        let password = password.clone();
        let verify = move || {
            let password = password.expose().as_bytes();
            Argon2::default().verify_password(password, &*hash).is_ok()
        };
        tokio::task::spawn_blocking(verify).await.unwrap_or(false)
    }
}

/// User and password of `Basic base64(user:password)`; the scheme in any case.
fn basic(header: &HeaderValue) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    let encoded = encoded.trim();
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > MAX_CREDENTIALS * 4 / 3 {
        return None;
    }
    let bytes = STANDARD
        .decode(encoded)
        .or_else(|_| STANDARD_NO_PAD.decode(encoded))
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), Secret::new(password)))
}

fn message(user: &str, password: &Secret) -> Vec<u8> {
    [user.as_bytes(), b"\0", password.expose().as_bytes()].concat()
}

fn random_text() -> String {
    STANDARD.encode(rand::random::<[u8; 32]>())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use std::time::Duration;

    use argon2::Argon2;
    use argon2::password_hash::PasswordHasher as _;
    use axum::http::HeaderValue;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{Account, Auth, Denied, Password, basic};
    use crate::gateway::broker::{Directory, Person};
    use crate::secret::Secret;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn auth(password: Password) -> Auth {
        auth_of([("alice", password)])
    }

    fn auth_of<const N: usize>(users: [(&str, Password); N]) -> Auth {
        let users = users.map(|(name, password)| (format!("{name}@demo.local"), password));
        let people = users.each_ref().map(|(address, _)| Person {
            address: address.clone(),
            name: address.clone(),
            max_calls: 2,
        });
        let directory = Arc::new(Directory::new("demo.local", people));
        Auth::new(directory, users).unwrap()
    }

    fn header(scheme: &str, credentials: &str) -> HeaderValue {
        let encoded = STANDARD.encode(credentials);
        HeaderValue::from_str(&format!("{scheme} {encoded}")).unwrap()
    }

    #[tokio::test]
    async fn the_scheme_may_be_written_in_any_case() {
        let auth = auth(Password::Plain(Secret::new("s:e c")));
        for scheme in ["basic", "Basic", "BASIC"] {
            let header = header(scheme, "alice@demo.local:s:e c");
            let user = auth.check(Some(&header), HERE).await;
            assert_eq!(user.as_deref(), Ok("alice@demo.local"));
        }
        let header = header("Bearer", "alice@demo.local:s:e c");
        assert_eq!(auth.check(Some(&header), HERE).await, Err(Denied));
        assert_eq!(auth.check(None, HERE).await, Err(Denied));
    }

    #[test]
    fn nonsense_is_no_credentials() {
        for text in [
            "",
            "basic",
            "basic ",
            "basic %%%",
            "basic YQ==",
            "basic /w==",
        ] {
            assert!(basic(&HeaderValue::from_static(text)).is_none(), "{text}");
        }
    }

    #[tokio::test]
    async fn argon2_runs_once_and_the_wrong_password_never_passes() {
        let phc = Argon2::default().hash_password(b"right").unwrap();
        let auth = auth(Password::Argon2(Secret::new(phc.to_string())));
        assert!(matches!(auth.nobody, Account::Argon2(_)));
        let right = header("Basic", "alice@demo.local:right");
        let wrong = header("Basic", "alice@demo.local:wrong");
        assert_eq!(auth.check(Some(&wrong), HERE).await, Err(Denied));
        assert!(auth.check(Some(&right), HERE).await.is_ok());
        // No permit is left: whoever is let in now was recognised without argon2.
        let _all = auth.verifiers.acquire_many(2).await.unwrap();
        assert!(auth.check(Some(&right), HERE).await.is_ok());
        let blocked = auth.check(Some(&wrong), HERE);
        let blocked = tokio::time::timeout(Duration::from_millis(50), blocked).await;
        assert!(blocked.is_err(), "the wrong one is not recognised");
    }

    #[tokio::test]
    async fn an_unknown_user_is_verified_like_a_known_one_and_never_passes() {
        let auth = auth(Password::Plain(Secret::new("right")));
        let header = header("Basic", "mallory@demo.local:right");
        assert_eq!(auth.check(Some(&header), HERE).await, Err(Denied));
    }

    #[tokio::test]
    async fn beside_a_hashed_password_a_wrong_plain_one_costs_a_hash_too() {
        let phc = Argon2::default().hash_password(b"right").unwrap();
        let auth = auth_of([
            ("alice", Password::Argon2(Secret::new(phc.to_string()))),
            ("bob", Password::Plain(Secret::new("right"))),
        ]);
        // No hash can be computed now: who gets an answer needed none.
        let _all = auth.verifiers.acquire_many(2).await.unwrap();
        for name in ["bob@demo.local", "nobody@demo.local"] {
            let wrong = header("Basic", &format!("{name}:wrong"));
            let answer = auth.check(Some(&wrong), HERE);
            let answer = tokio::time::timeout(Duration::from_millis(50), answer).await;
            assert!(answer.is_err(), "{name} is told apart");
        }
        let right = header("Basic", "bob@demo.local:right");
        assert!(auth.check(Some(&right), HERE).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn every_spelling_of_a_name_is_held_up_whether_it_exists_or_not() {
        let phc = Argon2::default().hash_password(b"right").unwrap();
        let auth = auth(Password::Argon2(Secret::new(phc.to_string())));
        // Whoever gets as far as argon2 waits for ever.
        let _all = auth.verifiers.acquire_many(2).await.unwrap();
        for name in ["alice", "nobody"] {
            for _ in 0..5 {
                let counted = format!("{name}@demo.local");
                super::lock(&auth.guesses).begin(&counted, HERE, crate::clock::now());
            }
            for spelling in [name.to_owned(), format!("{name}@DEMO.local@demo.local")] {
                let guess = header("Basic", &format!("{spelling}:wrong"));
                let denied = auth.check(Some(&guess), HERE);
                let denied = tokio::time::timeout(Duration::from_millis(500), denied).await;
                assert_eq!(denied, Ok(Err(Denied)), "{spelling}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_at_others_do_not_lock_out_who_is_in() {
        let auth = auth(Password::Plain(Secret::new("right")));
        let right = header("Basic", "alice@demo.local:right");
        assert!(auth.check(Some(&right), HERE).await.is_ok());
        for guess in 0..100 {
            let stranger = header("Basic", &format!("stranger{guess}:wrong"));
            assert_eq!(auth.check(Some(&stranger), HERE).await, Err(Denied));
        }
        assert!(auth.check(Some(&right), HERE).await.is_ok());
        let wrong = header("Basic", "alice@demo.local:wrong");
        assert_eq!(auth.check(Some(&wrong), HERE).await, Err(Denied));
    }

    #[tokio::test(start_paused = true)]
    async fn after_five_wrong_guesses_the_right_one_has_to_wait_too() {
        let auth = auth(Password::Plain(Secret::new("right")));
        let right = header("Basic", "alice@demo.local:right");
        let wrong = header("Basic", "alice@demo.local:wrong");
        assert!(auth.check(Some(&right), HERE).await.is_ok());
        for _ in 0..5 {
            assert_eq!(auth.check(Some(&wrong), HERE).await, Err(Denied));
        }
        assert_eq!(auth.check(Some(&right), HERE).await, Err(Denied));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(auth.check(Some(&right), HERE).await.is_ok());
    }
}
