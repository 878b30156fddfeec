//! Tests of clusters and attributes: values that may be missing.

use super::lexer::{Lexeme, Token};
use super::parser::Parser;
use super::{AttributeTest, Expr, Op, Result, SegmentError, Test};
use crate::domain::project::AttributeType;

impl Parser<'_> {
    pub(super) fn cluster(&mut self) -> Result<Expr> {
        let test = self.test(false, |p| {
            let (name, at) = p.text("a category in quotes")?;
            p.catalog.category(&name, &at.span)?;
            Ok(name)
        })?;
        Ok(Expr::Cluster(test))
    }

    pub(super) fn attribute(&mut self) -> Result<Expr> {
        self.expect(".")?;
        let Token::Word(name) = self.peek() else { return Err(self.unexpected("an attribute's name")) };
        let name = name.clone();
        self.next();
        let declared = self.catalog.attributes.get(&name);
        let test = match declared.map_or(AttributeType::Text, |a| a.kind) {
            AttributeType::Text => {
                let before = self.span();
                let ordered = self.at_order();
                let test = self.test(false, |p| Ok(p.text("a text in quotes")?.0));
                let advice = format!("declare it: [attributes.{name}] type = \"number\" (or \"date\", \"bool\")");
                test.map(AttributeTest::Text).map_err(|error| match declared {
                    None if ordered || error.span.start > before.start => error.hint(advice),
                    _ => error,
                })
            }
            AttributeType::Number => self.test(true, Self::number).map(AttributeTest::Number),
            AttributeType::Date => self.test(true, Self::day).map(AttributeTest::Date),
            AttributeType::Bool => self.test(false, Self::boolean).map(AttributeTest::Bool),
        }?;
        Ok(Expr::Attribute { name, test })
    }

    fn at_order(&self) -> bool {
        matches!(self.peek(), Token::Mark("<" | "<=" | ">" | ">="))
    }

    /// `= v`, `!= v`, `= none`, `!= none`, `in […]`, `not in […]`, and `< <= > >=` where `ordered`.
    fn test<T>(&mut self, ordered: bool, value: fn(&mut Self) -> Result<T>) -> Result<Test<T>> {
        if self.take_word("in") {
            return self.list(value).map(Test::In);
        }
        if self.take_word("not") {
            if !self.take_word("in") {
                return Err(self.unexpected("`in`"));
            }
            return self.list(value).map(Test::NotIn);
        }
        if !ordered && self.at_order() {
            let error = SegmentError::new(self.span(), "this value has no order");
            return Err(error.hint("compare it with `=`, `!=`, `in` or `not in`"));
        }
        let op = self.op()?;
        match op {
            Op::Eq if self.take_word("none") => Ok(Test::Missing),
            Op::Ne if self.take_word("none") => Ok(Test::Present),
            _ => Ok(Test::Compare(op, value(self)?)),
        }
    }

    fn list<T>(&mut self, value: fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect("[")?;
        let mut values = vec![value(self)?];
        while self.take_mark(",") {
            if matches!(self.peek(), Token::Mark("]")) {
                break;
            }
            values.push(value(self)?);
        }
        self.expect("]")?;
        Ok(values)
    }

    fn day(&mut self) -> Result<String> {
        let (text, Lexeme { span, .. }) = self.text("a day such as \"2026-12-01\"")?;
        match text.parse::<jiff::civil::Date>() {
            Ok(day) if day.to_string() == text => Ok(text),
            _ => {
                let error = SegmentError::new(span, format!("`{text}` is not a day"));
                Err(error.hint("days are written \"YYYY-MM-DD\", such as \"2026-12-01\""))
            }
        }
    }

    fn boolean(&mut self) -> Result<bool> {
        if self.take_word("true") {
            Ok(true)
        } else if self.take_word("false") {
            Ok(false)
        } else {
            Err(self.unexpected("`true` or `false`"))
        }
    }
}
