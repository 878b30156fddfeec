-- How many octets a message and a hit take, in an empty database that has the schema:
--   psql -d scratch -f migrations/postgres/0001_base.sql && psql -At -d scratch -f scripts/size.sql
-- 100,000 people get ten runs, claimed by thousands and marked by fifties; there are 200,000 hits, judged by five hundreds.
\set ON_ERROR_STOP 1
\set QUIET 1
SET jit = off;
INSERT INTO recipients (address, domain, address_hash, attributes, tracking, created_at)
SELECT 'person' || i || '@example' || i % 500 || '.org', 'example' || i % 500 || '.org', sha256(i::text::bytea),
    jsonb_build_object('first_name', 'Anna ' || i, 'city', 'Hamburg', 'birthday', '1990-03-07'), TRUE, 1764313222000000
FROM generate_series(1, 100000) i;
INSERT INTO subscriptions SELECT id, 'news', TRUE, 1764313222000000 FROM recipients;
SELECT 'recipient with subscription, stored: ' ||
    ((pg_total_relation_size('recipients') + pg_total_relation_size('subscriptions')) / 100000);

CREATE PROCEDURE send() LANGUAGE plpgsql AS $$
DECLARE run INT; block INT; first BIGINT;
BEGIN
    FOR run IN 1..10 LOOP
        FOR block IN 0..99 LOOP
            INSERT INTO messages (run_id, recipient_id, state, node_id, at)
            SELECT run, block * 1000 + k, 'claimed', 1, 1764313222000000 FROM generate_series(1, 1000) k;
            COMMIT;
            FOR part IN 0..19 LOOP
                first := block * 1000 + part * 50 + 1;
                UPDATE messages SET state = 'sending', attempt = 1, at = 1764313223000000, first_at = 1764313223000000,
                    relay = 'main', revision = 0
                WHERE run_id = run AND recipient_id BETWEEN first AND first + 49;
                COMMIT;
                UPDATE messages SET state = 'accepted', at = 1764313224000000, code = 250,
                    reply = '2.0.0 Ok: queued as 4dWq8G2zP9z1Ksx', node_id = NULL
                WHERE run_id = run AND recipient_id BETWEEN first AND first + 49;
                COMMIT;
            END LOOP;
        END LOOP;
    END LOOP;
END $$;
SELECT pg_current_wal_insert_lsn() AS was \gset
CALL send();
SELECT pg_sleep(2) \gset
SELECT 'message, WAL: ' || (pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :'was') / 1000000)::int;
SELECT 'message, row: ' || SUM(pg_relation_size(relid)) / 1000000 || ', its indexes: '
    || SUM(pg_indexes_size(relid)) / 1000000 FROM pg_partition_tree('messages');
SELECT 'changes of messages: ' || SUM(n_tup_upd) || ', of these without a change of any index: ' || SUM(n_tup_hot_upd)
FROM pg_stat_user_tables WHERE relname LIKE 'messages_%';

CREATE PROCEDURE hit() LANGUAGE plpgsql AS $$
DECLARE block INT;
BEGIN
    FOR block IN 0..399 LOOP
        INSERT INTO hits (id, at, kind, method, run_id, recipient_id, link, category, url, user_agent, network)
        SELECT decode(lpad(to_hex(1795824000000 + n * 20), 12, '0') || '7' || substr(md5(n::text), 1, 19), 'hex'),
            (1795824000000 + n * 20) * 1000, CASE WHEN n % 3 = 0 THEN 'click' ELSE 'open' END, 'GET', 1 + n % 10,
            1 + n * 7919 % 100000, 1, CASE WHEN n % 3 = 0 THEN 'running' ELSE '' END,
            CASE WHEN n % 3 = 0 THEN 'https://shop.example.org/running/shoes/1234?utm_source=newsletter&utm_medium=email' ELSE '' END,
            'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36',
            '192.0.2.0/24'
        FROM generate_series(block::bigint * 500 + 1, block * 500 + 500) n;
        COMMIT;
        UPDATE hits SET verdict = 'human', rule = 'browser' WHERE verdict IS NULL;
        COMMIT;
    END LOOP;
END $$;
SELECT pg_current_wal_insert_lsn() AS was \gset
CALL hit();
SELECT 'hit, WAL: ' || (pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :'was') / 200000)::int;
SELECT 'hit, row: ' || SUM(pg_relation_size(relid)) / 200000 || ', its indexes: ' || SUM(pg_indexes_size(relid)) / 200000
FROM pg_partition_tree('hits');
