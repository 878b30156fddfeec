//! What is read, and what a fault costs.

use super::*;
use proptest::prelude::*;

type Row = (u64, Result<Vec<String>, Fault>);

fn read(bytes: &[u8], delimiter: u8) -> Vec<Row> {
    let mut records = Records::new(bytes).unwrap();
    records.delimit(delimiter);
    let (mut record, mut rows) = (Record::default(), Vec::new());
    while let Some(result) = records.read(&mut record).unwrap() {
        rows.push((record.line, result.map(|()| record.fields().map(str::to_owned).collect())));
    }
    assert_eq!(records.position(), bytes.len() as u64);
    rows
}

fn row(line: u64, fields: &[&str]) -> Row {
    (line, Ok(fields.iter().map(|&f| f.to_owned()).collect()))
}

#[test]
fn quotes_line_ends_and_blank_lines_are_understood_and_lines_counted() {
    let text = "\u{feff}a,\"b\n\"\"c\"\"\"\r\n\r\n\n\"\",\n d ,e\"f\r\"g\" ,h";
    let expected = [row(1, &["a", "b\n\"c\""]), row(5, &["", ""]), row(6, &[" d ", "e\"f"]), row(7, &["g", "h"])];
    assert_eq!(read(text.as_bytes(), b','), expected);
}

#[test]
fn a_stray_quote_costs_its_own_line_only() {
    let many = "x;y\n".repeat(40_000);
    let rows = read(format!("a;\"b\nc;d\n{many}").as_bytes(), b';');
    assert_eq!(rows[..2], [(1, Err(Fault::Unclosed)), row(2, &["c", "d"])]);
    assert_eq!(rows.len(), 40_002);
    assert_eq!(read(b"a;\"b\nc;d", b';'), [(1, Err(Fault::Unclosed)), row(2, &["c", "d"])]);
    assert_eq!(read(b"\"a\"b;c\nd;e", b';'), [(1, Err(Fault::AfterQuote)), row(2, &["d", "e"])]);
}

#[test]
fn what_is_no_text_or_too_long_is_a_fault_of_its_row() {
    let rows = read(b"a,M\xFCller\nb,\0\nc,d\n", b',');
    assert_eq!(rows, [(1, Err(Fault::Encoding)), (2, Err(Fault::Nul)), row(3, &["c", "d"])]);
    let long = "z".repeat(3 * BLOCK);
    let expected = [row(1, &["a"]), (2, Err(Fault::TooLong)), row(3, &["b"])];
    for long in [&long[..LIMIT + 1], &long[..BLOCK], &long, &format!("\"{long}\""), &format!("\"{long}")] {
        assert_eq!(read(format!("a\n{long}\nb").as_bytes(), b','), expected, "{} octets", long.len());
    }
}

#[test]
fn a_row_at_fault_costs_its_own_line_where_carriage_returns_end_lines() {
    let rows = |fault: &str| read(format!("a,b\r{fault}\rc,d\r\re,\"f\rg\"\rh,i\r").as_bytes(), b',');
    let others = [row(3, &["c", "d"]), row(5, &["e", "f\rg"]), row(7, &["h", "i"])];
    let long = "z".repeat(LIMIT + 1);
    for (row, fault) in [("x,\"y\" z", Fault::AfterQuote), (&*long, Fault::TooLong), ("x,\0", Fault::Nul)] {
        let rows = rows(row);
        assert_eq!(rows[1], (2, Err(fault)));
        assert_eq!(rows[2..], others);
    }
    assert_eq!(read(b"a,\"b\rc,d\r", b','), [(1, Err(Fault::Unclosed)), row(2, &["c", "d"])]);
}

#[test]
fn a_line_end_of_two_octets_is_one_also_where_a_block_ends() {
    for line_end in ["\r\n", "\r", "\n"] {
        for length in BLOCK - 3..BLOCK + 2 {
            let long = "z".repeat(length);
            let rows = read(format!("{long}{line_end}{line_end}c{line_end}").as_bytes(), b',');
            assert_eq!(rows, [(1, Err(Fault::TooLong)), row(3, &["c"])], "{length} {line_end:?}");
        }
    }
}

#[test]
fn a_record_given_back_is_read_again_from_its_second_line() {
    let mut records = Records::new(b"a,\"b\nc,d\ne\",f\ng,h".as_slice()).unwrap();
    let mut record = Record::default();
    records.read(&mut record).unwrap().unwrap().unwrap();
    assert_eq!((record.lines, record.len()), (3, 3));
    records.keep_first_line(&mut record).unwrap();
    assert_eq!(record.raw, b"a,\"b");
    records.read(&mut record).unwrap().unwrap().unwrap();
    assert_eq!((record.line, record.field(0), record.field(1)), (2, "c", "d"));
}

proptest! {
    #[test]
    fn what_another_program_writes_comes_back(
        rows in prop::collection::vec(prop::collection::vec("[a-z ,;\"\r\n\u{e9}]{0,8}", 2..4), 1..20),
        semicolon: bool,
        crlf: bool,
    ) {
        let delimiter = if semicolon { b';' } else { b',' };
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new()
            .flexible(true).delimiter(delimiter).terminator(terminator).from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let read: Vec<_> = read(&writer.into_inner().unwrap(), delimiter).into_iter().map(|r| r.1.unwrap()).collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(prop::sample::select(b"\"\",\n\r;a \xff".to_vec()), 0..200)) {
        read(&noise, b',');
    }
}
