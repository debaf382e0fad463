//! What one record costs, from bytes to event.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use holdpoint::{
    ingest::{Origin, decode},
    model::{Kind, Timestamp},
};

/// 2026-03-10T15:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_773_154_800_000);

/// 400 bytes, twelve fields and two more in `tags`, as trackers write them.
const ERROR: &str = r#"{"kind":"error","id":"01JNZ8Q4T7V0XK3M5R9C2B6D8F","time":"2026-03-10T14:02:07.120Z","service":"checkout-api","environment":"production","count":3,"requests":1840,"interval_ms":10000,"version":"4.12.0-rc.3+build.88","fingerprint":"cart.total/overflow:7f3a9c","class":"http_5xx","message":"upstream connect error or disconnect before headers","tags":{"region":"eu-central-1","host":"ip-10-2-33-17"}}"#;

/// The same without a kind of its own, on a topic of errors.
const ERROR_KIND_BY_TOPIC: &str = r#"{"id":"01JNZ8Q4T7V0XK3M5R9C2B6D8F","time":"2026-03-10T14:02:07.120Z","service":"checkout-api","environment":"production","count":3,"requests":1840,"interval_ms":10000,"version":"4.12.0-rc.3+build.88","fingerprint":"cart.total/overflow:7f3a9c","class":"http_5xx","message":"upstream connect error or disconnect before headers","tags":{"region":"eu-central-1","host":"ip-10-2-33-17"}}"#;

/// The same with the kind at the end, on a topic without one: read twice.
const ERROR_KIND_LAST: &str = r#"{"id":"01JNZ8Q4T7V0XK3M5R9C2B6D8F","time":"2026-03-10T14:02:07.120Z","service":"checkout-api","environment":"production","count":3,"requests":1840,"interval_ms":10000,"version":"4.12.0-rc.3+build.88","fingerprint":"cart.total/overflow:7f3a9c","class":"http_5xx","message":"upstream connect error or disconnect before headers","tags":{"region":"eu-central-1","host":"ip-10-2-33-17"},"kind":"error"}"#;

const COMMIT: &str = r#"{"kind":"commit","id":"push-1842","time":"2026-03-10T13:24:40.512Z","service":"checkout","source":"forge","repository":"https://git.example.net/shop/checkout","sha":"e9d71f5ee7c92d6dc9e92ffdad17b8bd49418f98","author":{"id":"mira","level":"mid","groups":["payments","on-call"],"bot":false},"ai":{"assistance":"assisted","tools":["editor-completion"],"confidence":"high"},"change":{"lines_added":143,"lines_deleted":31,"files":6,"directories":3,"subsystems":2,"entropy":1.92,"lines_before":2210,"fix":true,"tests_touched":true,"config_touched":false,"paths":["src/cart/total.rs","src/cart/tax.rs","tests/cart.rs"]},"history":{"developers":7,"age_days":18.4,"prior_changes":96,"author_changes":412,"author_recent_changes":37.25,"author_subsystem_changes":60},"message":"cart: round tax once per order\n\nRounding every line lost up to a cent each.","approvals":[{"by":"tomas","level":"senior","groups":["payments"]}],"change_id":"!774","head_shas":["84a516841ba77a5b4648de2cd0dfcb30ea46dbb4"],"labels":{"area":"cart","ticket":"SHOP-3120"}}"#;

const DEPLOY: &str = r#"{"kind":"deploy","id":"d-81/progressing","time":"2026-03-10T13:58:20.004Z","service":"checkout","environment":"production","source":"cd","deploy_id":"d-81","status":"progressing","version":"4.12.0","previous_version":"4.11.3","commits":["86f7e437faa5a7fce15d1ddcb9eaeaea377667b8","e9d71f5ee7c92d6dc9e92ffdad17b8bd49418f98"],"exposure":0.25,"change_kind":"release","initiator":"pipeline 9921"}"#;

fn benches(criterion: &mut Criterion) {
    let cases = [
        ("error_400b", ERROR, None),
        ("error_kind_by_topic", ERROR_KIND_BY_TOPIC, Some(Kind::Error)),
        ("error_kind_last", ERROR_KIND_LAST, None),
        ("commit", COMMIT, None),
        ("deploy", DEPLOY, None),
    ];
    let mut group = criterion.benchmark_group("decode");
    for (name, text, kind) in cases {
        let origin = Origin { topic: "inputs", kind };
        assert!(decode(Some(text.as_bytes()), &origin, NOW).is_ok(), "{name}");
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode(black_box(Some(text.as_bytes())), black_box(&origin), NOW).is_ok());
        });
    }
    group.finish();
}

criterion_group!(decoding, benches);
criterion_main!(decoding);
