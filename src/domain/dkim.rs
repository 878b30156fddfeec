//! DKIM keys (RFC 6376): reading them, what is published of them, and which of them sign a mail.
//!
//! The signature itself is made where the mail is: in `render`.

use std::path::PathBuf;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One `[[dkim]]`: a key that signs mail of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimConfig {
    /// The signing domain (`d=`), in lower-case A-labels.
    pub domain: String,
    /// The key's name under `_domainkey` (`s=`).
    pub selector: String,
    /// File of the private key in PEM, relative to the project.
    pub key_file: PathBuf,
}

impl DkimConfig {
    /// Where the public key is published.
    #[must_use]
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `rsa-sha256` with at least 2048 bits (RFC 8301).
    Rsa,
    /// `ed25519-sha256` (RFC 8463).
    Ed25519,
}

/// Why a text is no key that may sign. It never repeats any of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No block of PEM with a private key.
    #[error("this is not a private key in PEM")]
    NotPem,
    /// A passphrase would be needed.
    #[error("the key is encrypted")]
    Encrypted,
    /// Broken, or of a size that nobody should sign with.
    #[error("the RSA key is broken, or does not have the 2048 to 8192 bits that mail is signed with (RFC 8301)")]
    Rsa,
    /// Broken, or of another algorithm.
    #[error("this is neither an RSA nor an Ed25519 key")]
    Unknown,
}

/// A private key.
pub enum SigningKey {
    /// With at least 2048 bits.
    Rsa(RsaKeyPair),
    /// The pair.
    Ed25519(Ed25519KeyPair),
}

/// `rsaEncryption` (RFC 8017), as DER.
const RSA_OID: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

impl SigningKey {
    /// Reads a key in PEM: PKCS #8, or PKCS #1 for RSA.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_pem(text: &str) -> Result<Self, KeyFault> {
        let (label, der) = first_block(text).ok_or(KeyFault::NotPem)?;
        match label {
            "ENCRYPTED PRIVATE KEY" => Err(KeyFault::Encrypted),
            "RSA PRIVATE KEY" if text.contains("Proc-Type:") => Err(KeyFault::Encrypted),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).map(Self::Rsa).map_err(|_| KeyFault::Rsa),
            "PRIVATE KEY" if der.windows(RSA_OID.len()).take(32).any(|part| part == RSA_OID) => {
                RsaKeyPair::from_pkcs8(&der).map(Self::Rsa).map_err(|_| KeyFault::Rsa)
            }
            "PRIVATE KEY" => Ed25519KeyPair::from_pkcs8(&der).map(Self::Ed25519).map_err(|_| KeyFault::Unknown),
            _ => Err(KeyFault::NotPem),
        }
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rsa,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The TXT record under [`DkimConfig::record_name`] (RFC 6376 §3.6.1, RFC 8463 §4).
    #[must_use]
    pub fn record(&self) -> String {
        match self {
            Self::Rsa(pair) => {
                let der = pair.public_key().as_der().map(|der: PublicKeyX509Der<'_>| STANDARD.encode(der.as_ref()));
                format!("v=DKIM1; k=rsa; p={}", der.unwrap_or_default())
            }
            Self::Ed25519(pair) => {
                format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(pair.public_key().as_ref()))
            }
        }
    }

    /// Signs what a signature covers; `None` when the library fails.
    #[must_use]
    pub fn sign(&self, covered: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), covered, &mut signature).ok()?;
                Some(signature)
            }
            // RFC 8463 §3: the hash is what is signed.
            Self::Ed25519(pair) => {
                let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, covered);
                pair.try_sign(hash.as_ref()).ok().map(|signature| signature.as_ref().to_vec())
            }
        }
    }
}

/// The first block of a text in PEM (RFC 7468): its label and its octets.
fn first_block(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    // What stands before an empty line are headers of old forms.
    let body = body.rsplit_once("\n\n").map_or(body, |(_, body)| body);
    let body: String = body.split_ascii_whitespace().collect();
    Some((label, STANDARD.decode(body).ok()?))
}

/// A record as a zone file takes it: in strings of at most 255 octets (RFC 1035 §3.3).
#[must_use]
pub fn zone_strings(record: &str) -> String {
    let parts: Vec<String> =
        record.as_bytes().chunks(255).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    parts.join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The private key of RFC 8463 §A.2.
    const RFC_8463_SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    fn rfc_8463_key() -> SigningKey {
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend(STANDARD.decode(RFC_8463_SEED).unwrap());
        SigningKey::from_pem(&pem("PRIVATE KEY", &der)).unwrap()
    }

    #[test]
    fn an_ed25519_key_is_published_as_the_rfc_shows() {
        let key = rfc_8463_key();
        assert_eq!(key.algorithm(), Algorithm::Ed25519);
        assert_eq!(key.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn what_is_no_private_key_is_refused_by_its_fault() {
        let fault = |text: &str| SigningKey::from_pem(text).err().unwrap();
        assert_eq!(fault(""), KeyFault::NotPem);
        assert_eq!(fault("-----BEGIN PRIVATE KEY-----\n???\n-----END PRIVATE KEY-----\n"), KeyFault::NotPem);
        assert_eq!(fault(&pem("PUBLIC KEY", b"x")), KeyFault::NotPem);
        assert_eq!(fault(&pem("ENCRYPTED PRIVATE KEY", b"x")), KeyFault::Encrypted);
        assert_eq!(fault(&pem("PRIVATE KEY", b"x")), KeyFault::Unknown);
        assert_eq!(fault(&pem("RSA PRIVATE KEY", b"x")), KeyFault::Rsa);
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(fault(old), KeyFault::Encrypted);
    }

    #[test]
    fn a_long_record_is_cut_into_strings() {
        assert_eq!(zone_strings("v=DKIM1"), "\"v=DKIM1\"");
        let cut = zone_strings(&"x".repeat(300));
        assert_eq!(cut, format!("\"{}\"\n    \"{}\"", "x".repeat(255), "x".repeat(45)));
    }
}
