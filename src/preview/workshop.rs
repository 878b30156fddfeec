//! From the files as they are at this moment to a mail, or to what stands in its way.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::body;
use super::fault::Fault;
use super::people::{MADE_UP, People, made_up};
use super::shown::shown;
use super::{Asked, Options};
use crate::clock;
use crate::config::problem::name_hint;
use crate::config::{self, Loaded, ProjectFiles};
use crate::domain::address::Address;
use crate::domain::id::RunId;
use crate::domain::profile::Profile;
use crate::domain::time::Micros;
use crate::domain::token::Keyring;
use crate::render::{Envelope, Explained, Mailing, Scratch, Signer};

/// Keys that nobody else has: links and pages of a mail that is only looked at lead nowhere.
#[must_use]
pub fn throwaway_keys() -> Keyring {
    let key: [u8; 32] = clock::secret();
    Keyring::new([(0, &key[..])])
}

/// Makes mails of files.
pub(super) struct Workshop {
    options: Options,
    keys: Keyring,
}

/// How far a look came.
#[derive(Default)]
struct Look {
    campaigns: Vec<String>,
    campaign: String,
    samples: Vec<String>,
    recipient: String,
    faults: Vec<Fault>,
    base_url: String,
    /// Pictures that the mail links, by their address, as addresses that bring them along.
    linked: BTreeMap<String, String>,
    mail: Option<Explained>,
}

impl Workshop {
    pub fn new(options: Options) -> Self {
        Self { options, keys: throwaway_keys() }
    }

    /// What there is to choose from, what is wrong, and the mail without its HTML.
    pub async fn look(&self, asked: &Asked) -> Value {
        let Look { campaigns, campaign, samples, recipient, faults, mail, .. } = self.mail(asked).await;
        json!({
            "campaigns": campaigns,
            "campaign": campaign,
            "samples": samples,
            "recipient": recipient,
            "made_up": recipient == MADE_UP,
            "faults": faults,
            "mail": mail.as_ref().map(shown),
        })
    }

    /// The mail's HTML, harmless; none where there is no mail.
    pub async fn body(&self, asked: &Asked) -> Option<String> {
        let look = self.mail(asked).await;
        look.mail.map(|mail| body::harmless(&mail, &look.base_url, &look.linked))
    }

    async fn mail(&self, asked: &Asked) -> Look {
        let files = ProjectFiles::Disk(self.options.root.clone());
        let mut look = Look { campaign: asked.campaign.clone(), ..Look::default() };
        match config::load(&files) {
            Ok(loaded) => self.of_files(asked, &files, &loaded, &mut look).await,
            Err(problems) => {
                look.campaigns = campaign_names(&files);
                look.faults = problems.0.into_iter().map(Fault::from).collect();
            }
        }
        look
    }

    async fn of_files(&self, asked: &Asked, files: &ProjectFiles, loaded: &Loaded, look: &mut Look) {
        look.faults = loaded.warnings.iter().cloned().map(Fault::from).collect();
        look.campaigns = loaded.campaigns.keys().cloned().collect();
        look.base_url.clone_from(&loaded.project.base_url);
        let Some(campaign) = loaded.campaigns.get(&asked.campaign) else {
            let hint = name_hint(&asked.campaign, look.campaigns.iter().map(String::as_str)).unwrap_or_default();
            look.faults.push(Fault::new(format!("there is no campaign '{}'", asked.campaign), hint));
            return;
        };
        let texts = match files.freeze() {
            Ok(texts) => texts,
            Err(error) => return look.faults.push(Fault::new(error.to_string(), "mend the file and it is read again")),
        };
        let mailing = match Mailing::compile(campaign, &loaded.project, &texts) {
            Ok(mailing) => mailing,
            Err(problems) => {
                return look.faults.extend(problems.into_iter().map(|problem| Fault::template(problem, &texts)));
            }
        };
        let linked = mailing.linked();
        look.linked = linked.map(|(shown, media, octets)| (shown.to_owned(), body::data_url(media, &octets))).collect();
        let at = asked.at.unwrap_or_else(|| self.options.clock.now());
        let made_up = made_up(&loaded.project, &mailing);
        let profile = match &self.options.store {
            None => made_up,
            Some(store) => {
                let people = People { store, project: &loaded.project, campaign, at };
                match self.profile(&people, asked, made_up, look).await {
                    Ok(profile) => profile,
                    Err(fault) => return look.faults.push(fault),
                }
            }
        };
        look.recipient = profile.address.to_string();
        self.render(&mailing, &profile, at, &texts, look);
        if let Some(mail) = &mut look.mail {
            match self.signed(loaded, &mailing, at, &mail.message.bytes) {
                Ok(signed) => mail.message.bytes = signed,
                Err(()) => {
                    let unsigned = config::dkim::problems(files).into_iter().map(Fault::from);
                    look.faults.extend(unsigned.map(|fault| Fault { error: false, ..fault }));
                }
            }
        }
    }

    /// The message as it leaves, where the keys can be read.
    fn signed(&self, loaded: &Loaded, mailing: &Mailing, at: Micros, bytes: &[u8]) -> Result<Vec<u8>, ()> {
        let keys = config::dkim::keys(&self.options.root, &loaded.settings.dkim).map_err(drop)?;
        Signer::new(keys).sign(bytes.to_vec(), mailing.from_domain(), at).map_err(drop)
    }

    async fn profile(
        &self,
        people: &People<'_>,
        asked: &Asked,
        made_up: Profile,
        look: &mut Look,
    ) -> Result<Profile, Fault> {
        let away = |error: crate::store::Error| Fault::new(error.to_string(), "is the database there?");
        let mut samples = people.samples().await.map_err(away)?;
        look.samples = samples.iter().map(|profile| profile.address.to_string()).collect();
        if asked.recipient == MADE_UP || asked.recipient.is_empty() && samples.is_empty() {
            return Ok(made_up);
        }
        if asked.recipient.is_empty() {
            return Ok(samples.swap_remove(0));
        }
        let typed = Address::parse(&asked.recipient)
            .map_err(|why| Fault::new(format!("'{}': {why}", asked.recipient), "type the whole address"))?;
        let found = people.find(&typed).await.map_err(away)?;
        let nobody = || Fault::new(format!("there is no recipient {typed}"), format!("{MADE_UP} stands for anybody"));
        found.ok_or_else(nobody)
    }

    fn render(
        &self,
        mailing: &Mailing,
        profile: &Profile,
        at: Micros,
        texts: &BTreeMap<String, String>,
        look: &mut Look,
    ) {
        let envelope = Envelope { run: RunId(0), occasion: "preview", at };
        match mailing.render_explained(profile, &envelope, &self.keys, &mut Scratch::default()) {
            Ok(mail) => {
                look.faults.extend(mailing.lint(&mail).iter().map(Fault::from));
                look.mail = Some(mail);
            }
            Err(error) => look.faults.push(Fault::render(error, texts)),
        }
    }
}

/// The campaigns' names as their files tell them.
fn campaign_names(files: &ProjectFiles) -> Vec<String> {
    let paths = files.list(config::files::CAMPAIGNS, "toml").unwrap_or_default();
    let name = |path: &String| path.rsplit('/').next()?.strip_suffix(".toml").map(str::to_owned);
    paths.iter().filter_map(name).collect()
}
