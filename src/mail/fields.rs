//! Blocks of "Name: value" lines, as in reports and headers, read with patience: folded lines, lines that should
//! have been folded, any line end.

/// Fields in the order of their lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

/// More fields or longer ones are no report.
const MOST_FIELDS: usize = 400;
const MOST_VALUE: usize = 8_000;

impl Fields {
    /// Reads one block.
    fn push_line(&mut self, line: &str) {
        let folded = line.starts_with([' ', '\t']);
        let field = line.split_once(':').filter(|(name, _)| !folded && is_name(name.trim_end()));
        let is_full = self.0.len() >= MOST_FIELDS;
        match (field, self.0.last_mut()) {
            (Some(_), _) if is_full => {}
            (Some((name, value)), _) => self.0.push((name.trim_end().to_ascii_lowercase(), value.trim().to_owned())),
            (None, Some((_, value))) if value.len() < MOST_VALUE => {
                value.push(' ');
                value.push_str(line.trim());
            }
            _ => {}
        }
    }

    /// The first field of this name, given in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All fields of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over what is not yet said.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// The blocks of a text, parted by empty lines.
pub(super) fn blocks(text: &str) -> Vec<Fields> {
    let mut blocks = vec![Fields::default()];
    for line in text.lines() {
        match (line.trim().is_empty(), blocks.last_mut()) {
            (false, Some(block)) => block.push_line(line),
            (true, Some(block)) if !block.is_empty() => blocks.push(Fields::default()),
            _ => {}
        }
        if blocks.len() > MOST_FIELDS {
            break;
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// The first block alone: a header.
pub(super) fn header(text: &str) -> Fields {
    blocks(text).into_iter().next().unwrap_or_default()
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 60
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
