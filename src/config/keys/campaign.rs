//! The keys of `config/campaigns/NAME.toml`.

use super::Kind::{Anything, Form, Number, OneOf, Text, Texts, Time};
use super::{DURATION, Key, PAUSE_AT_REJECTIONS, RATE, UTM};

/// In the order in which editors offer them.
pub(in crate::config) const CAMPAIGN: &[Key] = &[
    Key::new("topic", Text, "\"news\"", "A topic of the project; its subscribers may get the campaign").required(),
    Key::new(
        "subject",
        Text,
        "\"Hello {{default first_name \\\"you\\\"}}\"",
        "The subject, one line, a Handlebars template",
    )
    .required(),
    Key::new("template", Text, "\"news.hbs\"", "The HTML template under templates/").required(),
    Key::new("text_template", Text, "\"news.txt.hbs\"", "The text template; default: made from the HTML"),
    Key::new(
        "preheader",
        Text,
        "\"What is new this month\"",
        "What mailboxes show behind the subject, one line, a Handlebars template",
    ),
    Key::new(
        "pictures",
        OneOf(&["embedded", "linked"]),
        "\"linked\"",
        "Whether its pictures go with each mail, or are served below base_url; default: as [web] pictures says",
    ),
    Key::new("valid_for", DURATION, "\"24h\"", "What has not left so long after the run's instant is skipped"),
    Key::sections("attachment", "A file that the mail carries"),
    Key::new("attachment[].file", Form("^files/"), "\"files/agenda.pdf\"", "Its path, under files/").required(),
    Key::new("attachment[].name", Text, "\"Agenda.pdf\"", "Its name for the reader; default: that of the file"),
    Key::new("attachment[].type", Text, "\"application/pdf\"", "Its media type; default: by the name's ending"),
    Key::section("language", "What the readers of other languages get, by language tag"),
    Key::named("language.*", "fr", "What readers get whose attribute `language` is this tag or begins with it"),
    Key::new("language.*.subject", Text, "\"Bonjour\"", "The subject, one line, a Handlebars template").required(),
    Key::new("language.*.template", Text, "\"news.hbs\"", "The HTML template under templates/").required(),
    Key::new("language.*.text_template", Text, "\"news.txt.hbs\"", "The text template; default: made from the HTML"),
    Key::new("language.*.preheader", Text, "\"Les nouvelles du mois\"", "What mailboxes show behind the subject"),
    Key::sections("language.*.attachment", "A file that the mail carries"),
    Key::new("language.*.attachment[].file", Form("^files/"), "\"files/agenda.pdf\"", "Its path, under files/")
        .required(),
    Key::new(
        "language.*.attachment[].name",
        Text,
        "\"Ordre du jour.pdf\"",
        "Its name for the reader; default: that of the file",
    ),
    Key::new(
        "language.*.attachment[].type",
        Text,
        "\"application/pdf\"",
        "Its media type; default: by the name's ending",
    ),
    Key::section("schedule", "When the service sends it; without it, `colloquy send NAME` does"),
    Key::new("schedule.at", Time, "2026-12-01T09:00:00", "Once, in the zone below, or with an offset"),
    Key::new(
        "schedule.every",
        Text,
        "\"Tue 09:00\"",
        "Again and again: Tue 09:00, Mon-Fri 07:00, last Fri 17:00, 1st 09:00, or five cron fields",
    )
    .instead_of("schedule.at"),
    Key::new("schedule.timezone", Text, "\"recipient\"", "An IANA name, or recipient; default: the sender's"),
    Key::new("schedule.fallback_timezone", Text, "\"Europe/Berlin\"", "The zone of people without one, with recipient"),
    Key::new("schedule.window", Texts, "[\"08:00\", \"20:00\"]", "The hours of the day in which messages may leave"),
    Key::new("schedule.blackout", Texts, "[\"2026-12-24\"]", "Further days on which nothing leaves"),
    Key::new("schedule.latest_start", DURATION, "\"6h\"", "A start later than this after its time expires"),
    Key::section("audience", "Whom it is for; without it, everybody who may be mailed"),
    Key::new("audience.where", Text, "'score >= 5'", "A condition in the language of segments"),
    Key::section("throttle", "The campaign's own limit"),
    Key::new("throttle.rate", RATE, "\"100/s\"", "Messages of this campaign"),
    Key::section("limits", "Limits in place of the project's"),
    PAUSE_AT_REJECTIONS,
    Key::section("links", "Categories by URL, where the template has no data-category; the first that fits counts"),
    Key::new("links.*", Text, "\"https://shop.example.org/running/*\" = \"running\"", "A category of the project"),
    Key::section("utm", "Parameters of links that tell a web site where a visit comes from, before the project's"),
    UTM[0],
    UTM[1],
    UTM[2],
    UTM[3],
    UTM[4],
    UTM[5],
    Key::section("offers", "What {{#each (offers)}} picks from"),
    Key::new(
        "offers.explore",
        Number(0.0, 1.0),
        "0.1",
        "Probability, per slot, that an offer is drawn at random instead of by affinity",
    ),
    Key::sections("offers.item", "An offer"),
    Key::new("offers.item[].category", Text, "\"running\"", "A category of the project").required(),
    Key::new("offers.item[].title", Text, "\"Trail shoes\"", "What it is called").required(),
    Key::new("offers.item[].url", Form("^https?://"), "\"https://shop.example.org/trail/1\"", "Where its link leads")
        .required(),
    Key::new("offers.item[].image", Form("^https?://"), "\"https://shop.example.org/trail/1.jpg\"", "Its picture"),
    Key::new("offers.item[].*", Anything, "price = \"129 €\"", "Further keys are there for templates"),
];
