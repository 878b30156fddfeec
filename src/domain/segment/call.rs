//! Functions and their arguments.

use std::ops::Range;
use std::time::Duration;

use super::catalog::unknown;
use super::lexer::{Lexeme, Token};
use super::parser::Parser;
use super::{ActionTest, Catalog, Expr, Period, Received, Result, SegmentError, Subscribed};
use crate::domain::action::kind;
use crate::domain::time::{Micros, parse_duration};

/// The arguments of a call. What has been asked for is taken out, so that the rest is unknown.
struct Arguments<'a> {
    catalog: &'a Catalog,
    function: String,
    span: Range<usize>,
    first: Option<(String, Range<usize>)>,
    named: Vec<(String, Range<usize>, Lexeme)>,
    asked: Vec<&'static str>,
}

impl<'a> Parser<'a> {
    pub(super) fn affinity(&mut self, begin: &Lexeme) -> Result<String> {
        let mut arguments = self.arguments("affinity", begin)?;
        let category = arguments.required_first("a category")?;
        self.catalog.category(&category.0, &category.1)?;
        arguments.finish()?;
        Ok(category.0)
    }

    pub(super) fn call(&mut self, function: &str, begin: &Lexeme) -> Result<Expr> {
        let mut a = self.arguments(function, begin)?;
        let expr = match function {
            "opened" => a.action(kind::OPEN)?,
            "clicked" => a.action(kind::CLICK)?,
            "replied" => a.action(kind::REPLY)?,
            "did" => {
                let (kind, _) = a.required_first("a kind of action")?;
                a.action(&kind)?
            }
            "received" => Expr::Received(Received { campaign: a.campaign()?, topic: a.topic()?, period: a.period()? }),
            "subscribed" => {
                let topic = a.first.take();
                topic.as_ref().map_or(Ok(()), |(name, span)| self.catalog.topic(name, span))?;
                Expr::Subscribed(Subscribed {
                    topic: topic.map(|t| t.0),
                    longer_than: a.duration("longer_than")?,
                    period: a.period()?,
                })
            }
            "cools" => a.cools()?,
            "consent_lapses" => a.consent_lapses()?,
            "rose" => a.rose()?,
            _ => a.segment()?,
        };
        a.finish()?;
        Ok(expr)
    }

    fn arguments(&mut self, function: &str, begin: &Lexeme) -> Result<Arguments<'a>> {
        self.expect("(")?;
        let mut first = None;
        let mut named: Vec<(String, Range<usize>, Lexeme)> = Vec::new();
        while !matches!(self.peek(), Token::Mark(")")) {
            match self.peek().clone() {
                Token::Text(text) if first.is_none() && named.is_empty() => first = Some((text, self.next().span)),
                Token::Word(name) => {
                    let span = self.next().span;
                    if named.iter().any(|(other, ..)| *other == name) {
                        return Err(SegmentError::new(span, format!("`{name}` is given twice")));
                    }
                    self.expect("=")?;
                    if !matches!(self.peek(), Token::Text(_) | Token::Number(_)) {
                        return Err(self.unexpected("a value"));
                    }
                    named.push((name, span, self.next()));
                }
                _ => return Err(self.unexpected("an argument such as `within = \"14d\"`")),
            }
            if !self.take_mark(",") {
                break;
            }
        }
        let end = self.span().end;
        self.expect(")")?;
        let span = begin.span.start..end;
        Ok(Arguments { catalog: self.catalog, function: function.to_owned(), span, first, named, asked: Vec::new() })
    }
}

impl Arguments<'_> {
    fn action(&mut self, kind: &str) -> Result<Expr> {
        let campaign = self.campaign()?;
        let topic = self.topic()?;
        let category = self.text("category")?;
        category.as_ref().map_or(Ok(()), |(name, span)| self.catalog.category(name, span))?;
        let category = category.map(|c| c.0);
        Ok(Expr::Action(ActionTest { kind: kind.to_owned(), campaign, topic, category, period: self.period()? }))
    }

    fn cools(&mut self) -> Result<Expr> {
        let below = self.number("below")?.map_or(self.catalog.warm, |(value, _)| value);
        if below <= 0.0 {
            return Err(SegmentError::new(self.span.clone(), "a score fades toward zero and never falls below it")
                .hint("give a threshold above zero: `below = 20`"));
        }
        let missing = SegmentError::new(self.span.clone(), "`cools` needs to know how far to look ahead");
        let within = self.duration("within")?.ok_or_else(|| missing.hint("write `cools(within = \"7d\")`"))?;
        Ok(Expr::Cools { below, within })
    }

    fn consent_lapses(&mut self) -> Result<Expr> {
        let (topic, within) = (self.topic()?, self.duration("within")?);
        let fail = |message: &str| SegmentError::new(self.span.clone(), message);
        let Some(after) = self.catalog.lapses_after else {
            return Err(fail("consent never lapses here").hint("set `[retention] unused_consent = \"730d\"`"));
        };
        let missing = || fail("`consent_lapses` needs to know how far to look ahead");
        let within = within.ok_or_else(|| missing().hint("write `consent_lapses(within = \"30d\")`"))?;
        if within >= after {
            return Err(fail("this finds everybody, as no consent lasts for longer").hint("look less far ahead"));
        }
        Ok(Expr::ConsentLapses { topic, within, after })
    }

    fn rose(&mut self) -> Result<Expr> {
        let warm = self.catalog.warm;
        match self.number("above")? {
            Some((above, span)) if above != warm => {
                let message = format!("the rise to {above} is not recorded, only the rise to {warm}");
                Err(SegmentError::new(span, message).hint("the threshold of moments is `[score] warm`"))
            }
            _ => Ok(Expr::Rose(self.period()?)),
        }
    }

    fn segment(&mut self) -> Result<Expr> {
        let (name, span) = self.required_first("a segment's name")?;
        match self.catalog.segments.get(&name) {
            Some(condition) => Ok(Expr::Segment { name, expr: Box::new(condition.expr.clone()) }),
            None => Err(unknown("segment", &name, span, self.catalog.segments.keys().map(String::as_str))),
        }
    }

    fn campaign(&mut self) -> Result<Option<String>> {
        let named = self.text("campaign")?;
        if let (Some(_), Some((name, span))) = (&named, &self.first) {
            let error =
                SegmentError::new(span.clone(), format!("the campaign is given twice: `{name}` and `campaign`"));
            return Err(error.hint("leave one of them out"));
        }
        let campaign = named.or_else(|| self.first.take());
        campaign.as_ref().map_or(Ok(()), |(name, span)| self.catalog.campaign(name, span))?;
        Ok(campaign.map(|c| c.0))
    }

    fn topic(&mut self) -> Result<Option<String>> {
        let topic = self.text("topic")?;
        topic.as_ref().map_or(Ok(()), |(name, span)| self.catalog.topic(name, span))?;
        Ok(topic.map(|t| t.0))
    }

    fn period(&mut self) -> Result<Period> {
        Ok(Period { within: self.duration("within")?, since: self.instant("since")?, before: self.instant("before")? })
    }

    fn required_first(&mut self, what: &str) -> Result<(String, Range<usize>)> {
        let missing = || {
            let error = SegmentError::new(self.span.clone(), format!("`{}` needs {what} in quotes", self.function));
            error.hint(format!("write `{}(\"…\")`", self.function))
        };
        self.first.take().filter(|(text, _)| !text.is_empty()).ok_or_else(missing)
    }

    fn take(&mut self, name: &'static str) -> Option<Lexeme> {
        self.asked.push(name);
        let at = self.named.iter().position(|(n, ..)| n == name)?;
        Some(self.named.remove(at).2)
    }

    fn text(&mut self, name: &'static str) -> Result<Option<(String, Range<usize>)>> {
        match self.take(name) {
            None => Ok(None),
            Some(Lexeme { token: Token::Text(text), span }) => Ok(Some((text, span))),
            Some(other) => Err(SegmentError::new(other.span, format!("`{name}` takes a text in quotes"))),
        }
    }

    fn number(&mut self, name: &'static str) -> Result<Option<(f64, Range<usize>)>> {
        match self.take(name) {
            None => Ok(None),
            Some(Lexeme { token: Token::Number(value), span }) => Ok(Some((value, span))),
            Some(other) => Err(SegmentError::new(other.span, format!("`{name}` takes a number, without quotes"))),
        }
    }

    fn duration(&mut self, name: &'static str) -> Result<Option<Duration>> {
        let Some((text, span)) = self.text(name)? else { return Ok(None) };
        let duration = parse_duration(&text).map_err(|message| SegmentError::new(span.clone(), message))?;
        if duration.is_zero() {
            return Err(SegmentError::new(span, format!("`{name}` must be longer than nothing")));
        }
        Ok(Some(duration))
    }

    fn instant(&mut self, name: &'static str) -> Result<Option<Micros>> {
        let Some((text, span)) = self.text(name)? else { return Ok(None) };
        let day = text.parse::<jiff::civil::Date>().ok().filter(|day| day.to_string() == text);
        let midnight = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        match midnight {
            Some(midnight) => Ok(Some(midnight.timestamp().into())),
            None => Micros::parse_rfc3339(&text)
                .map(Some)
                .map_err(|message| SegmentError::new(span, message).hint("a day alone means its midnight in UTC")),
        }
    }

    fn finish(self) -> Result<()> {
        if let Some((_, span)) = self.first {
            return Err(SegmentError::new(span, format!("`{}` takes named arguments alone", self.function)));
        }
        match self.named.into_iter().next() {
            None => Ok(()),
            Some((name, span, _)) => {
                let sort = format!("argument of `{}`", self.function);
                Err(unknown(&sort, &name, span, self.asked.iter().copied()))
            }
        }
    }
}
