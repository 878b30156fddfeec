//! `config/secrets.toml`: the keys that sign links, and the key under which suppressed addresses are kept.

use std::io;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

use super::private;
use super::problem::{Complaint, Problem, Problems};
use super::reader::{Doc, Section};
use super::value::Field;
use crate::domain::hex::hex;
use crate::domain::token::Keyring;

type Key = SecretBox<[u8; 32]>;

/// The project's keys. `Debug` never shows them.
#[derive(Debug)]
pub struct Secrets {
    /// With their ids, the one that signs first.
    signing: Vec<(u8, Key)>,
    suppression: Key,
    /// Who may ask `/api/subscribe`: a name, and the SHA-256 of a key that is kept nowhere.
    api: Vec<(String, [u8; 32])>,
}

impl Secrets {
    /// New keys.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn generate(random: &dyn SecureRandom) -> io::Result<Self> {
        Ok(Self { signing: vec![(1, new_key(random)?)], suppression: new_key(random)?, api: Vec::new() })
    }

    /// Reads a file that nobody but its owner may read.
    ///
    /// # Errors
    /// When it is missing, readable by others, or not as `init` writes it. Complaints never show its lines.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let shown = path.display().to_string();
        let text = private::read(path, "the project's keys", missing)
            .map_err(|complaint| Problems(vec![Problem::about_file(&shown, complaint)]))?;
        let doc = Doc::secret(&shown, &text);
        let secrets = doc.read(read).flatten();
        match (secrets, doc.into_problems()) {
            (Some(secrets), problems) if problems.is_empty() => Ok(secrets),
            (_, problems) => Err(Problems(problems)),
        }
    }

    /// Writes a new file with mode 0600.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn write_new(&self, path: &Path) -> io::Result<()> {
        let encode = |key: &Key| STANDARD.encode(key.expose_secret());
        let mut text = format!(
            "# Keep this file secret, and keep a copy of it: without it links in mails already sent stop working.\n\n\
             # Suppressed addresses are kept as hashes under this key, so it never changes.\n\
             suppression_key = \"{}\"\n\n\
             # Sign links. To rotate, put a new entry with another id first; older ones still verify.\n",
            encode(&self.suppression)
        );
        for (id, key) in &self.signing {
            text += &format!("[[signing]]\nid = {id}\nkey = \"{}\"\n", encode(key));
        }
        private::write_new(path, &text)
    }

    /// The keys that sign and verify tokens.
    #[must_use]
    pub fn keyring(&self) -> Keyring {
        Keyring::new(self.signing.iter().map(|(id, key)| (*id, key.expose_secret().as_slice())))
    }

    /// Which programs may ask `/api/subscribe`.
    #[must_use]
    pub fn api_keys(&self) -> ApiKeys {
        ApiKeys(self.api.clone())
    }

    /// The HMAC-SHA256 key under which suppressed addresses are hashed.
    #[must_use]
    pub fn suppression_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.suppression.expose_secret())
    }
}

/// A new key for `/api/subscribe`, and the line of the secrets file that lets it in.
///
/// # Errors
/// When the random source fails.
pub fn new_api_key(name: &str, random: &dyn SecureRandom) -> io::Result<(SecretString, String)> {
    let secret = new_key(random)?;
    let key = SecretString::from(format!("colloquy_{}", URL_SAFE_NO_PAD.encode(secret.expose_secret())));
    let hash = hex(&api_hash(key.expose_secret()));
    Ok((key, format!("\n[[api]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n")))
}

fn api_hash(key: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    hash
}

/// Which programs may ask `/api/subscribe`.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Vec<(String, [u8; 32])>);

impl ApiKeys {
    /// What the keys are called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whose key it is. All are compared, each in constant time.
    #[must_use]
    pub fn owner(&self, key: &str) -> Option<&str> {
        let hash = api_hash(key);
        self.0.iter().fold(None, |found, (name, known)| {
            let same = constant_time::verify_slices_are_equal(known, &hash).is_ok();
            if same { Some(name.as_str()) } else { found }
        })
    }
}

fn new_key(random: &dyn SecureRandom) -> io::Result<Key> {
    let mut failed = false;
    let key = Key::init_with_mut(|bytes: &mut [u8; 32]| failed = random.fill(bytes).is_err());
    if failed { Err(io::Error::other("the system has no random numbers")) } else { Ok(key) }
}

fn missing() -> Complaint {
    Complaint::new("there is no file with the project's keys")
        .hint("`colloquy init DIR` writes one with a new project; a database that is there needs its own back")
}

fn read(root: &Section<'_>) -> Option<Secrets> {
    let suppression = root.required("suppression_key", "the one that `init` made").and_then(|field| key(&field));
    let mut ids = Vec::new();
    let signing = root.each("signing", |section| {
        let id = section.required("id", "id = 1").and_then(|field| {
            let id = field.count::<u8>(0)?;
            if ids.contains(&id) {
                field.error(format!("there is another signing key with id {id}"));
            }
            ids.push(id);
            Some(id)
        });
        let key = section.required("key", "key = \"…\", 32 octets in base64").and_then(|field| key(&field));
        Some((id?, key?))
    });
    if signing.is_empty() && root.field("signing").is_none() {
        root.missing("signing", "[[signing]] with id and key");
    }
    let signing: Vec<_> = signing.into_iter().flatten().collect();
    let api = root.each("api", |section| {
        let name = section
            .required("name", "name = \"shop\"")
            .and_then(|field| field.parsed(|text| super::check::name(text).map(|()| text.to_owned())));
        let hash =
            section.required("sha256", "the one that `colloquy join key` printed").and_then(|field| hash(&field));
        Some((name?, hash?))
    });
    (!signing.is_empty()).then_some(())?;
    Some(Secrets { signing, suppression: suppression?, api: api.into_iter().flatten().collect() })
}

fn hash(field: &Field<'_>) -> Option<[u8; 32]> {
    field.parsed(|text| {
        let complaint = || Complaint::new("this is not the hash of a key").hint("`colloquy join key NAME` makes one");
        let digits = |at: usize| text.get(2 * at..2 * at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
        let mut hash = [0; 32];
        if text.len() != 64 {
            return Err(complaint());
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = digits(at).ok_or_else(complaint)?;
        }
        Ok(hash)
    })
}

fn key(field: &Field<'_>) -> Option<Key> {
    field.parsed(|text| {
        let complaint = || Complaint::new("this is not a key").hint("32 octets in base64: openssl rand -base64 32");
        let bytes = STANDARD.decode(text).map_err(|_| complaint())?;
        <[u8; 32]>::try_from(bytes).map(|bytes| Key::new(Box::new(bytes))).map_err(|_| complaint())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    fn written() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.toml");
        Secrets::generate(&SystemRandom::new()).unwrap().write_new(&path).unwrap();
        (dir, path)
    }

    #[test]
    fn keys_come_back_from_a_private_file() {
        let (_dir, path) = written();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (one, two) = (Secrets::load(&path).unwrap(), Secrets::load(&path).unwrap());
        assert_eq!(one.keyring().digest(1, "test", b"x"), two.keyring().digest(1, "test", b"x"));
        let tags = [&one, &two].map(|secrets| hmac::sign(&secrets.suppression_key(), b"x"));
        assert_eq!(tags[0].as_ref(), tags[1].as_ref());
        assert_ne!(one.keyring().digest(1, "test", b"x").unwrap(), tags[0].as_ref());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        let (_dir, path) = written();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let shown = Secrets::load(&path).unwrap_err().to_string();
        assert!(shown.contains("mode 640") && shown.contains("chmod 600"), "{shown}");
    }

    #[test]
    fn keys_are_never_overwritten_and_never_shown() {
        let (_dir, path) = written();
        let text = std::fs::read_to_string(&path).unwrap();
        let secrets = Secrets::load(&path).unwrap();
        assert_eq!(secrets.write_new(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let debug = format!("{secrets:?}");
        for key in text.lines().filter_map(|line| line.split('"').nth(1)) {
            let broken = text.replace(key, &key[..20]);
            std::fs::write(&path, broken).unwrap();
            let shown = Secrets::load(&path).unwrap_err().to_string();
            assert!(shown.contains("not a key") && !shown.contains(&key[..20]), "{shown}");
            assert!(!debug.contains(&key[..20]) && !debug.contains("[1"), "{debug}");
        }
    }

    #[test]
    fn a_second_key_with_the_same_id_is_refused() {
        let (_dir, path) = written();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text += &format!("[[signing]]\nid = 1\nkey = \"{}\"\n", STANDARD.encode([7; 32]));
        std::fs::write(&path, &text).unwrap();
        assert!(Secrets::load(&path).unwrap_err().to_string().contains("another signing key with id 1"));
        std::fs::write(&path, text.replace("[[signing]]", "[[singing]]")).unwrap();
        let shown = Secrets::load(&path).unwrap_err().to_string();
        assert!(shown.contains("did you mean `signing`?") && shown.contains("`signing` is missing"), "{shown}");
    }
}
