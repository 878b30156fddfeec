//! Tokens to a tree: connectives and what they connect.

use super::catalog::unknown;
use super::lexer::{Lexeme, Token, lex};
use super::{Catalog, Expr, MAX_DEPTH, Measure, Op, Result, SegmentError};

/// The words that a test begins with.
const SUBJECTS: [&str; 17] = [
    "score",
    "momentum",
    "affinity",
    "cluster",
    "attr",
    "opened",
    "clicked",
    "replied",
    "received",
    "did",
    "subscribed",
    "cools",
    "consent_lapses",
    "rose",
    "segment",
    "true",
    "false",
];

pub(super) fn parse(text: &str, catalog: &Catalog) -> Result<Expr> {
    let mut parser = Parser { lexemes: lex(text)?, at: 0, depth: 0, catalog };
    let expr = parser.any()?;
    match parser.peek() {
        Token::End => Ok(expr),
        Token::Mark(")") => Err(SegmentError::new(parser.span(), "this parenthesis was never opened")),
        _ => Err(parser.unexpected("`and`, `or` or the end")),
    }
}

pub(super) struct Parser<'a> {
    lexemes: Vec<Lexeme>,
    at: usize,
    depth: usize,
    pub(super) catalog: &'a Catalog,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expr> {
        self.chain("or", Self::all, Expr::Or)
    }

    fn all(&mut self) -> Result<Expr> {
        self.chain("and", Self::unary, Expr::And)
    }

    fn chain(&mut self, word: &str, part: fn(&mut Self) -> Result<Expr>, join: fn(Vec<Expr>) -> Expr) -> Result<Expr> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.take_word(word) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { join(parts) })
    }

    fn unary(&mut self) -> Result<Expr> {
        if self.depth >= MAX_DEPTH {
            let error = SegmentError::new(self.span(), format!("more than {MAX_DEPTH} levels of nesting"));
            return Err(error.hint("split the condition into named segments"));
        }
        self.depth += 1;
        let expr = if self.take_word("not") {
            Expr::Not(Box::new(self.unary()?))
        } else if self.take_mark("(") {
            let inner = self.any()?;
            self.expect(")")?;
            inner
        } else {
            self.subject()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn subject(&mut self) -> Result<Expr> {
        let Token::Word(word) = self.peek() else { return Err(self.unexpected("a test such as `score >= 20`")) };
        let word = word.clone();
        if !SUBJECTS.contains(&word.as_str()) {
            return Err(unknown("word", &word, self.span(), SUBJECTS.into_iter().chain(["not"])));
        }
        let begin = self.next();
        match word.as_str() {
            "true" => Ok(Expr::Always(true)),
            "false" => Ok(Expr::Always(false)),
            "score" => self.measure(Measure::Score),
            "momentum" => self.measure(Measure::Momentum),
            "affinity" => {
                let category = self.affinity(&begin)?;
                self.measure(Measure::Affinity(category))
            }
            "cluster" => self.cluster(),
            "attr" => self.attribute(),
            _ => self.call(&word, &begin),
        }
    }

    fn measure(&mut self, measure: Measure) -> Result<Expr> {
        let op = self.op()?;
        let value = self.number()?;
        Ok(Expr::Measure { measure, op, value })
    }

    /// A comparison's sign.
    pub(super) fn op(&mut self) -> Result<Op> {
        let Token::Mark(mark) = self.peek() else { return Err(self.unexpected("a comparison such as `>=`")) };
        let op = Op::ALL.into_iter().find(|op| op.sign() == *mark);
        let op = op.ok_or_else(|| self.unexpected("a comparison such as `>=`"))?;
        self.next();
        Ok(op)
    }

    pub(super) fn number(&mut self) -> Result<f64> {
        match *self.peek() {
            Token::Number(value) => {
                self.next();
                Ok(value)
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    pub(super) fn text(&mut self, what: &str) -> Result<(String, Lexeme)> {
        match self.peek() {
            Token::Text(value) => {
                let value = value.clone();
                Ok((value, self.next()))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    pub(super) fn peek(&self) -> &Token {
        &self.lexemes[self.at].token
    }

    pub(super) fn span(&self) -> std::ops::Range<usize> {
        self.lexemes[self.at].span.clone()
    }

    /// Takes the next token; the end is never passed.
    pub(super) fn next(&mut self) -> Lexeme {
        let lexeme = self.lexemes[self.at].clone();
        self.at = (self.at + 1).min(self.lexemes.len() - 1);
        lexeme
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if w == word);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn take_mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Token::Mark(m) if *m == mark);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, mark: &str) -> Result<()> {
        if self.take_mark(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> SegmentError {
        let found = match self.peek() {
            Token::End => "the condition ends".to_owned(),
            Token::Word(word) => format!("`{word}` stands"),
            Token::Text(text) => format!("\"{text}\" stands"),
            Token::Number(number) => format!("{number} stands"),
            Token::Mark(mark) => format!("`{mark}` stands"),
        };
        let error = SegmentError::new(self.span(), format!("{found} where {wanted} is expected"));
        match self.peek() {
            Token::Word(word) if ["AND", "OR", "NOT", "IN"].contains(&word.to_uppercase().as_str()) => {
                error.hint(format!("write `{}` in lower case", word.to_lowercase()))
            }
            _ => error,
        }
    }
}
