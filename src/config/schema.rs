//! JSON Schema (draft 7, which editors of TOML understand) of the project's files, made of `config::keys`.

use serde_json::{Map, Value, json};

use toml::de::DeTable;

use super::files::{CAMPAIGNS, PROJECT_FILE};
use super::keys::{CAMPAIGN, Key, Kind, PROJECT};
use super::value::json as json_of;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// `config/colloquy.toml`.
    Project,
    /// `config/campaigns/NAME.toml`.
    Campaign,
}

impl Schema {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Project, Self::Campaign];

    /// Where `init` writes it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Project => "config/schema/project.json",
            Self::Campaign => "config/schema/campaign.json",
        }
    }

    /// The schema of a file of the project.
    pub(super) fn of_file(path: &str) -> Option<Self> {
        match path {
            PROJECT_FILE => Some(Self::Project),
            _ if path.starts_with(CAMPAIGNS) => Some(Self::Campaign),
            _ => None,
        }
    }

    /// The first line of a file of this kind: where editors find its schema, seen from there.
    pub(super) fn directive(self) -> &'static str {
        match self {
            Self::Project => "#:schema schema/project.json\n",
            Self::Campaign => "#:schema ../schema/campaign.json\n",
        }
    }

    fn keys(self) -> &'static [Key] {
        match self {
            Self::Project => PROJECT,
            Self::Campaign => CAMPAIGN,
        }
    }

    /// The schema, as a file holds it.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:#}\n", self.json())
    }

    fn json(self) -> Value {
        let title = match self {
            Self::Project => "Colloquy: config/colloquy.toml",
            Self::Campaign => "Colloquy: a campaign",
        };
        let mut schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "title": title});
        if let Some(schema) = schema.as_object_mut() {
            schema.extend(section(self.keys(), ""));
        }
        schema
    }
}

/// The schema of what stands at a place.
fn section(keys: &[Key], place: &str) -> Map<String, Value> {
    let children = || keys.iter().filter(|key| key.parent().0 == place && key.kind != Kind::Refused);
    let named = || children().filter(|key| key.parent().1 != "*");
    let properties: Map<_, _> = named().map(|key| (key.parent().1.to_owned(), value(keys, key))).collect();
    let others = children().find(|key| key.parent().1 == "*").map_or(json!(false), |key| value(keys, key));
    let required: Vec<_> = named().filter(|key| key.required).map(|key| key.parent().1).collect();
    let exclude: Vec<_> = named().filter_map(exclusion).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    schema.insert("additionalProperties".into(), others);
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    if !exclude.is_empty() {
        schema.insert("allOf".into(), exclude.into());
    }
    schema
}

/// Not both.
fn exclusion(key: &Key) -> Option<Value> {
    let other = key.instead_of?.rsplit('.').next()?;
    Some(json!({"not": {"required": [other, key.parent().1]}}))
}

fn value(keys: &[Key], key: &Key) -> Value {
    let mut schema = match key.kind {
        Kind::Section => Value::Object(section(keys, key.path)),
        Kind::Sections => {
            let items = section(keys, &format!("{}[]", key.path));
            json!({"type": "array", "items": items})
        }
        Kind::Text => json!({"type": "string"}),
        Kind::Form(pattern) => json!({"type": "string", "pattern": pattern}),
        Kind::OneOf(texts) => json!({"type": "string", "enum": texts}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Counts(least) => json!({"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": least}}),
        Kind::Count(least) => json!({"type": "integer", "minimum": least}),
        Kind::Number(least, f64::MAX) => json!({"type": "number", "minimum": least}),
        Kind::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        Kind::Bool => json!({"type": "boolean"}),
        // Editors hand dates and times to a schema as text.
        Kind::Time | Kind::Day => json!({"type": "string"}),
        Kind::Anything | Kind::Refused => json!({}),
    };
    schema["description"] = key.doc.into();
    if let Some(example) = example(key) {
        schema["examples"] = json!([example]);
    }
    schema
}

/// The value that the example shows; sections have none.
fn example(key: &Key) -> Option<Value> {
    if matches!(key.kind, Kind::Section | Kind::Sections) {
        return None;
    }
    let line = if key.parent().1 == "*" { key.example.to_owned() } else { format!("x = {}", key.example) };
    let (table, _) = DeTable::parse_recoverable(&line);
    let (_, value) = table.get_ref().iter().next()?;
    Some(json_of(value.get_ref()))
}
