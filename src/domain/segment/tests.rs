use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::domain::project::{Attribute, AttributeType};
use crate::domain::time::Micros;

fn attribute(kind: AttributeType) -> Attribute {
    Attribute { kind, ..Attribute::default() }
}

fn catalog() -> Catalog {
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let mut catalog = Catalog {
        categories: names(&["running", "trail"]),
        topics: names(&["offers", "news"]),
        campaigns: names(&["winter-sale", "spring"]),
        attributes: BTreeMap::from([
            ("age".to_owned(), attribute(AttributeType::Number)),
            ("birthday".to_owned(), attribute(AttributeType::Date)),
            ("vip".to_owned(), attribute(AttributeType::Bool)),
            ("country".to_owned(), attribute(AttributeType::Text)),
        ]),
        segments: BTreeMap::new(),
        warm: 20.0,
        lapses_after: Some(Duration::from_secs(730 * 86_400)),
    };
    let warm = Condition::parse(r#"score >= 20 and not cools(within = "7d")"#, &catalog).unwrap();
    catalog.segments.insert("warm".to_owned(), warm);
    catalog
}

fn parse(text: &str) -> Expr {
    Condition::parse(text, &catalog()).unwrap_or_else(|error| panic!("{text}: {error} {:?}", error.hint)).expr
}

#[track_caller]
fn refused(text: &str, at: &str, message: &str, hint: &str) {
    let error = Condition::parse(text, &catalog()).unwrap_err();
    assert_eq!(&text[error.span.clone()], at, "{error}");
    assert!(error.message.contains(message), "{error}");
    assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{:?}", error.hint);
}

#[test]
fn a_condition_reads_as_it_is_written() {
    let text = r#"score >= 40 and cluster in ["running", "trail"] and attr.country = "DE"
        and clicked("winter-sale", within = "14d") and not received(within = "3d")"#;
    assert_eq!(
        parse(text).to_string(),
        "score >= 40 and cluster in [\"running\", \"trail\"] and attr.country = \"DE\" \
         and clicked(campaign = \"winter-sale\", within = \"2w\") and not received(within = \"3d\")"
    );
}

#[test]
fn not_binds_tighter_than_and_and_and_tighter_than_or() {
    let (a, b, c) = ("score > 1", "score > 2", "score > 3");
    assert_eq!(parse(&format!("not {a} and {b} or {c}")), parse(&format!("((not ({a})) and {b}) or {c}")));
    assert_ne!(parse(&format!("{a} and ({b} or {c})")), parse(&format!("{a} and {b} or {c}")));
}

#[test]
fn a_named_segment_stands_for_what_it_says() {
    let Expr::Segment { name, expr } = parse(r#"segment("warm")"#) else { panic!("no segment") };
    assert_eq!(name, "warm");
    assert_eq!(*expr, parse(r#"score >= 20 and not cools(below = 20, within = "7d")"#));
    assert_eq!(references(r#"segment("a") or not segment ( 'b' )"#), [("a".into(), 8..11), ("b".into(), 30..33)]);
    assert!(references("segment(\"a").is_empty());
}

#[test]
fn a_day_alone_means_its_midnight_and_quotes_come_in_two_kinds() {
    let midnight = Micros::parse_rfc3339("2026-11-01T00:00:00Z").unwrap();
    let period = Period { since: Some(midnight), ..Period::default() };
    assert_eq!(parse("received(since = '2026-11-01')"), Expr::Received(Received { period, ..Received::default() }));
    assert_eq!(parse(r#"attr.x = 'a"b\'c\\'"#).to_string(), r#"attr.x = "a\"b'c\\""#);
}

#[test]
fn a_missing_value_can_be_asked_for() {
    assert_eq!(parse("cluster = none"), Expr::Cluster(Test::Missing));
    assert_eq!(
        parse("attr.age != none"),
        Expr::Attribute { name: "age".into(), test: AttributeTest::Number(Test::Present) }
    );
}

#[test]
fn names_that_are_not_known_are_pointed_at_and_the_nearest_is_offered() {
    refused(r#"scroe >= 40"#, "scroe", "unknown word", "`score`");
    refused(r#"cluster = "runing""#, "\"runing\"", "unknown category `runing`", "`running`");
    refused(r#"clicked("winter-sail")"#, "\"winter-sail\"", "unknown campaign", "`winter-sale`");
    refused(r#"subscribed("ofers")"#, "\"ofers\"", "unknown topic", "`offers`");
    refused(r#"segment("worm")"#, "\"worm\"", "unknown segment", "`warm`");
    refused(r#"clicked(witin = "3d")"#, "witin", "unknown argument of `clicked`", "`within`");
    refused(r#"affinity("yoga") > 0.1"#, "\"yoga\"", "unknown category", "known: running, trail");
}

#[test]
fn values_of_the_wrong_sort_are_pointed_at() {
    refused(r#"score >= "40""#, "\"40\"", "where a number is expected", "");
    refused("attr.country > 3", ">", "no order", "compare it with");
    refused("attr.visits > 3", ">", "no order", "[attributes.visits]");
    refused("attr.visits = 3", "3", "a text in quotes", "[attributes.visits]");
    refused(r#"attr.birthday > "2026-02-30""#, "\"2026-02-30\"", "not a day", "YYYY-MM-DD");
    refused(r#"attr.birthday > "2026-2-3""#, "\"2026-2-3\"", "not a day", "YYYY-MM-DD");
    refused("attr.vip = 1", "1", "`true` or `false`", "");
    refused(r#"clicked(within = "14 days")"#, "\"14 days\"", "not a duration", "");
    refused("clicked(within = 14d)", "14d", "not a number", "in quotes: \"14d\"");
    refused(r#"received(since = "yesterday")"#, "\"yesterday\"", "RFC 3339", "midnight");
    refused("clicked(within = \"0d\")", "\"0d\"", "longer than nothing", "");
    refused("attr.birthday > 2026-01-01", "2026-01-01", "not a number", "in quotes");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    refused("", "", "the condition ends", "");
    refused("score >= 40 and", "", "the condition ends", "");
    refused("score >= 40 score", "score", "`and`, `or` or the end", "");
    refused("score >= 40 AND true", "AND", "stands where", "lower case");
    refused("score == 40", "==", "no meaning", "`=`");
    refused("true && true", "&&", "no meaning", "`and`");
    refused("!true", "!", "no meaning", "`not`");
    refused("(true", "", "`)`", "");
    refused("true)", ")", "never opened", "");
    refused("cluster in []", "]", "a category", "");
    refused("attr.x = \"a", "\"a", "does not end", "close it");
    refused("attr.x = \"a\u{0}b\"", "\u{0}", "control character", "");
    refused(r#"attr.x = "\n""#, r"\n", "unknown escape", "backslash");
    refused("consent_lapses()", "consent_lapses()", "how far to look ahead", "within");
    refused(r#"consent_lapses(within = "730d")"#, r#"consent_lapses(within = "730d")"#, "finds everybody", "less far");
    refused("cools()", "cools()", "how far to look ahead", "within");
    refused(r#"cools(below = 0, within = "7d")"#, r#"cools(below = 0, within = "7d")"#, "fades toward zero", "");
    refused("rose(above = 21)", "21", "only the rise to 20", "[score] warm");
    refused(r#"clicked("spring", campaign = "spring")"#, "\"spring\"", "twice", "");
    refused(r#"clicked(category = "trail", category = "trail")"#, "category", "twice", "");
    refused(r#"received(category = "trail")"#, "category", "unknown argument", "");
    refused(r#"cools("spring", within = "7d")"#, "\"spring\"", "named arguments alone", "");
    refused("did()", "did()", "a kind of action", "did(");
    refused("score >= 1e400", "1e400", "not a number", "");
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = "(".repeat(100_000);
    assert!(Condition::parse(&deep[..MAX_TEXT], &catalog()).unwrap_err().message.contains("levels of nesting"));
    assert!(Condition::parse(&deep, &catalog()).unwrap_err().message.contains("longer than"));
    assert!(Condition::parse(&"not ".repeat(1_000), &catalog()).is_err());
    let wide = vec!["true"; MAX_TERMS].join(" and ");
    assert!(Condition::parse(&wide, &catalog()).unwrap_err().message.contains("301 tests"));
    let mut doubling = catalog();
    for n in 0..40 {
        let text =
            format!("segment(\"{0}\") and segment(\"{0}\")", if n == 0 { "warm".into() } else { format!("s{n}") });
        match Condition::parse(&text, &doubling) {
            Ok(condition) => drop(doubling.segments.insert(format!("s{}", n + 1), condition)),
            Err(error) => return assert!(error.hint.unwrap().contains("named segments included")),
        }
    }
    panic!("segments doubled without end");
}

fn text() -> impl Strategy<Value = String> + Clone {
    "\\PC{0,12}"
}

fn category() -> impl Strategy<Value = String> + Clone {
    prop_oneof![Just("running".to_owned()), Just("trail".to_owned())]
}

fn number() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![-1e6..1e6_f64, (-1000..1000_i32).prop_map(f64::from)]
}

fn op() -> impl Strategy<Value = Op> {
    proptest::sample::select(&Op::ALL[..])
}

fn equality<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Test<T>> {
    prop_oneof![
        value.clone().prop_map(|v| Test::Compare(Op::Eq, v)),
        value.clone().prop_map(|v| Test::Compare(Op::Ne, v)),
        vec(value.clone(), 1..4).prop_map(Test::In),
        vec(value, 1..4).prop_map(Test::NotIn),
        Just(Test::Missing),
        Just(Test::Present),
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    (1..10_000_000_u64).prop_map(Duration::from_secs)
}

fn period() -> impl Strategy<Value = Period> {
    let instant = || option::of((0..4_000_000_000_000_000_i64).prop_map(Micros));
    (option::of(duration()), instant(), instant()).prop_map(|(within, since, before)| Period { within, since, before })
}

fn campaign() -> impl Strategy<Value = Option<String>> {
    option::of(Just("spring".to_owned()))
}

fn topic() -> impl Strategy<Value = Option<String>> {
    option::of(Just("offers".to_owned()))
}

fn leaf() -> impl Strategy<Value = Expr> {
    let measure = prop_oneof![Just(Measure::Score), Just(Measure::Momentum), category().prop_map(Measure::Affinity)];
    let kind = prop_oneof!["open", "click", "reply", "[a-z]{1,8}"];
    let attribute = prop_oneof![
        equality(text()).prop_map(|test| ("country", AttributeTest::Text(test))),
        equality(number()).prop_map(|test| ("age", AttributeTest::Number(test))),
        (op(), number()).prop_map(|(op, v)| ("age", AttributeTest::Number(Test::Compare(op, v)))),
        (op(), 1..28)
            .prop_map(|(op, d)| ("birthday", AttributeTest::Date(Test::Compare(op, format!("2020-02-{d:02}"))))),
        equality(any::<bool>()).prop_map(|test| ("vip", AttributeTest::Bool(test))),
    ];
    prop_oneof![
        any::<bool>().prop_map(Expr::Always),
        (measure, op(), number()).prop_map(|(measure, op, value)| Expr::Measure { measure, op, value }),
        equality(category()).prop_map(Expr::Cluster),
        attribute.prop_map(|(name, test)| Expr::Attribute { name: name.into(), test }),
        (kind, campaign(), topic(), option::of(category()), period()).prop_map(
            |(kind, campaign, topic, category, period)| Expr::Action(ActionTest {
                kind,
                campaign,
                topic,
                category,
                period
            })
        ),
        (campaign(), topic(), period()).prop_map(|(campaign, topic, period)| Expr::Received(Received {
            campaign,
            topic,
            period
        })),
        (topic(), option::of(duration()), period())
            .prop_map(|(topic, longer_than, period)| Expr::Subscribed(Subscribed { topic, longer_than, period })),
        (1..1000_u32, duration()).prop_map(|(below, within)| Expr::Cools { below: f64::from(below), within }),
        (topic(), duration()).prop_map(|(topic, within)| Expr::ConsentLapses {
            topic,
            within,
            after: Duration::from_secs(730 * 86_400)
        }),
        period().prop_map(Expr::Rose),
        Just(parse("segment(\"warm\")")),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
            vec(inner.clone(), 2..4).prop_map(Expr::And),
            vec(inner, 2..4).prop_map(Expr::Or),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(expr in expr()) {
        let text = expr.to_string();
        let read = Condition::parse(&text, &catalog());
        prop_assert_eq!(read.map(|c| c.expr), Ok(expr), "{}", text);
    }

    #[test]
    fn noise_is_refused_within_its_bounds_and_never_panics(
        text in prop_oneof![
            "\\PC{0,80}",
            "[a-z0-9 =<>!()\\[\\]\",.'-]{0,80}",
            vec(proptest::sample::select(vec![
                "score", "not", "and", "or", "(", ")", "[", "]", "in", "attr", ".", "age", ">=", "=", "12", "\"x\"",
                "clicked", "within", ",", "segment", "none", "true", "affinity", "cluster", "\"trail\"",
            ]), 0..14).prop_map(|words| words.join(" ")),
        ],
    ) {
        if let Err(error) = Condition::parse(&text, &catalog()) {
            prop_assert!(error.span.start <= error.span.end && text.get(error.span.clone()).is_some(), "{:?}", error);
        }
    }
}
