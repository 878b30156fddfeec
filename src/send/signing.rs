//! Signs messages beside the async threads, at most as many at once as there are processors: a
//! signature takes as long as several renderings, and answers of relays must not wait for it.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::job::RunContext;
use crate::domain::time::Micros;
use crate::relay::Message;
use crate::render::Signer;

/// The keys of the version that governs, and the places to sign at.
pub struct Signing {
    signer: RwLock<Arc<Signer>>,
    places: Semaphore,
}

impl Signing {
    /// Without keys.
    pub fn new() -> Self {
        let places = Semaphore::new(available_parallelism().map_or(1, usize::from));
        Self { signer: RwLock::default(), places }
    }

    /// Signs with these keys from the next message on.
    pub fn renew(&self, signer: Arc<Signer>) {
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = signer;
    }

    /// Makes rendered bytes a message for the wire, signed where a key aligns with its From.
    ///
    /// # Errors
    /// Why there can be no such message.
    pub async fn seal(&self, bytes: Vec<u8>, context: &Arc<RunContext>, at: Micros) -> Result<Message, String> {
        let message = |bytes| Message::new(bytes).map_err(|error| format!("render: {error}"));
        let signer = Arc::clone(&self.signer.read().unwrap_or_else(PoisonError::into_inner));
        if !signer.signs(context.mailing.from_domain()) {
            return message(bytes);
        }
        let context = Arc::clone(context);
        let _place = self.places.acquire().await;
        let signed = spawn_blocking(move || {
            let signed = signer.sign(bytes, context.mailing.from_domain(), at).map_err(|error| error.to_string())?;
            message(signed)
        });
        signed.await.unwrap_or_else(|_| Err("signing was stopped".to_owned()))
    }
}
