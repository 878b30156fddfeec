//! A small DNS server on loopback (RFC 1035): answers from a list, everything else is no such name.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// A record: its name, its type, and its data as a zone file writes it.
pub type Record = (String, &'static str, String);

/// Serves records until the test ends. Returns where.
pub async fn serve(records: Vec<Record>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query).await {
            socket.send_to(&answer(&query[..length], &records), client).await.unwrap();
        }
    });
    address
}

fn answer(query: &[u8], records: &[Record]) -> Vec<u8> {
    let (mut name, mut at) = (String::new(), 12);
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        name += &format!("{}.", String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let kind = match u16::from_be_bytes([query[at + 1], query[at + 2]]) {
        1 => "A",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        _ => "",
    };
    let here = |record: &&Record| format!("{}.", record.0) == name;
    let found: Vec<_> = records.iter().filter(here).filter(|record| record.1 == kind).collect();
    // No such name, unless it has records of another type.
    let code = if records.iter().any(|record| here(&record)) { 0 } else { 3 };
    let mut reply = Vec::new();
    reply.extend(&query[..2]);
    reply.extend([0x85, 0x80 | code, 0, 1, 0, u8::try_from(found.len()).unwrap(), 0, 0, 0, 0]);
    reply.extend(question);
    for (_, _, value) in found {
        let data = data(kind, value);
        reply.extend([0xc0, 12]);
        reply.extend(&question[question.len() - 4..]);
        reply.extend([0, 0, 0, 60]);
        reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        reply.extend(data);
    }
    reply
}

fn data(kind: &str, value: &str) -> Vec<u8> {
    let name = |text: &str| {
        let labels = text.split('.').filter(|label| !label.is_empty());
        let mut octets: Vec<u8> = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
        octets.push(0);
        octets
    };
    match kind {
        "A" => value.split('.').map(|octet| octet.parse().unwrap()).collect(),
        "AAAA" => value.parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec(),
        "MX" => {
            let (preference, host) = value.split_once(' ').unwrap();
            [&preference.parse::<u16>().unwrap().to_be_bytes()[..], &name(host)].concat()
        }
        "TXT" => value.as_bytes().chunks(255).flat_map(|chunk| [&[chunk.len() as u8], chunk].concat()).collect(),
        _ => name(value),
    }
}
