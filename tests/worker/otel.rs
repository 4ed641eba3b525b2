//! Traces: who sends them, and that an octarm that cannot refuses to be told to.

#[cfg(feature = "otel")]
mod sending;

#[cfg(not(feature = "otel"))]
#[test]
fn an_octarm_without_opentelemetry_refuses_to_be_given_a_collector() {
    let mut scene = super::Scene::new();
    scene.worker.drain();
    let program = scene.worker.program().clone();
    let ended = program.env("OCTARM_WORKER_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:4318").run();
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("`telemetry.otlp_endpoint` is set"), "{ended:?}");
    assert!(ended.stderr.contains("--features otel"), "{ended:?}");
}
