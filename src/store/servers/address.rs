//! Addresses that name several servers, as libpq reads them.

use url::Url;

use super::super::{Error, Result};

/// The address of each server: of `postgres://user@a:5432,b:5433/db`, or of `postgres:///db?host=a,b&port=5432,5433`.
///
/// # Errors
/// When it is no address.
pub(super) fn split(url: &str) -> Result<Vec<String>> {
    let (scheme, rest) = url.split_once("://").ok_or_else(not_one)?;
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let at = if authority.contains('@') { "@" } else { "" };
    let mut servers = Vec::new();
    for host in hosts.split(',') {
        let one = Url::parse(&format!("{scheme}://{user}{at}{host}{tail}")).map_err(|_| not_one())?;
        servers.extend(listed(one)?);
    }
    Ok(servers)
}

/// The same once for each host that the query lists.
fn listed(mut url: Url) -> Result<Vec<String>> {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let values = |name: &str| {
        let value = pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.map(|value| value.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default()
    };
    let (hosts, ports) = (values("host"), values("port"));
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(not_one());
    }
    // Writes are taken by whichever of them we look for anyway.
    let mine = |key: &str| matches!(key, "host" | "port" | "target_session_attrs");
    let others: Vec<_> = pairs.iter().filter(|(key, _)| !mine(key)).cloned().collect();
    let servers = (0..hosts.len().max(1)).map(|n| {
        url.set_query(None);
        let host = hosts.get(n).map(|host| ("host", host));
        let port = ports.get(n).or(ports.first()).map(|port| ("port", port));
        if host.is_some() || port.is_some() || !others.is_empty() {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(&others).extend_pairs(host).extend_pairs(port);
        }
        url.to_string()
    });
    Ok(servers.collect())
}

/// Says nothing of what it holds, which may be a password.
fn not_one() -> Error {
    Error::Sql(sqlx::Error::Configuration("[database] url is not understood".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_divided_by_commas() {
        for (url, servers) in [
            ("postgres://a/db", &["postgres://a/db"][..]),
            (
                "postgres://u:p%2C%40@a:1,b,[::1]:3/db?sslmode=require",
                &[
                    "postgres://u:p%2C%40@a:1/db?sslmode=require",
                    "postgres://u:p%2C%40@b/db?sslmode=require",
                    "postgres://u:p%2C%40@[::1]:3/db?sslmode=require",
                ],
            ),
            ("postgresql://a,b", &["postgresql://a", "postgresql://b"]),
            (
                "postgres:///db?host=/run/a,b&port=1,2&target_session_attrs=read-write",
                &["postgres:///db?host=%2Frun%2Fa&port=1", "postgres:///db?host=b&port=2"],
            ),
            ("postgres:///db?host=a,b&port=7", &["postgres:///db?host=a&port=7", "postgres:///db?host=b&port=7"]),
        ] {
            assert_eq!(split(url).unwrap(), servers, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for url in ["postgres://u:s3cret@a:port/db", "postgres://u:s3cret@a/db?host=a,b,c&port=1,2", "s3cret"] {
            let error = split(url).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
