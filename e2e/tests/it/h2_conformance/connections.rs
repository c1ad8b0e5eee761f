//! What spans a connection: preface, acknowledgements, windows, limits, GOAWAY.

use std::time::Duration;

use e2e::wire::frames::{
    ACK, DATA, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, frame,
    opening, request_block,
};
use e2e::wire::{Ask, Protocol};
use e2e::{Palisade, Reply, Upstream};

use super::{
    FLOW_CONTROL_ERROR, NO_ERROR, PROBE, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, get, ping,
    post, reset, settings, update,
};
use crate::rig::{Rig, server};

// REQ: R-3
#[tokio::test]
async fn a_connection_begins_with_its_preface() {
    let palisade = Palisade::before(&Upstream::new());
    let preface = &opening(&[])[..24];
    for (name, bytes) in [
        (
            "3.4 another protocol",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("3.4 a broken preface", [&preface[..20], b"XX\r\n"].concat()),
        ("3.4 no SETTINGS", [preface, &ping()].concat()),
        ("3.4 a request before SETTINGS", [preface, &get(1)].concat()),
        (
            "3.4 ACK in place of SETTINGS",
            [preface, &frame(SETTINGS, ACK, 0, &[])].concat(),
        ),
    ] {
        let stream = palisade.client().connect("h2").await.unwrap();
        let mut frames = Frames::new(stream);
        frames.send(&bytes).await;
        let all = frames.rest().await;
        let goaway = all.iter().find(|frame| frame.kind == GOAWAY);
        let code = goaway.and_then(Frame::code);
        assert_eq!(code, Some(PROTOCOL_ERROR), "{name}: {all:?}");
    }
}

// REQ: R-3
#[tokio::test]
async fn settings_and_pings_are_acknowledged() {
    let palisade = Palisade::before(&Upstream::new());
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    let first = frames.next().await.unwrap();
    assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
    let ack = frames.until(|frame| frame.kind == SETTINGS).await.unwrap();
    assert_eq!((ack.flags, ack.payload.len()), (ACK, 0));
    frames.send(&frame(SETTINGS, ACK, 0, &[])).await;
    frames.send(&frame(PING, 0, 0, b"12345678")).await;
    let pong = frames.until(|frame| frame.kind == PING).await.unwrap();
    assert_eq!((pong.flags, &pong.payload[..]), (ACK, &b"12345678"[..]));
}

// REQ: R-3
#[tokio::test]
async fn no_more_is_sent_than_the_windows_hold() {
    let upstream = Upstream::always(Reply::big(100_000));
    let palisade = Palisade::before(&upstream);
    // A stream's window.
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::new(stream);
    frames.send(&opening(&[(4, 1)])).await;
    frames.send(&get(1)).await;
    let data = |frame: &Frame| frame.kind == DATA;
    let first = frames.until(data).await.unwrap();
    assert_eq!(first.payload.len(), 1);
    frames.send(&update(1, 10)).await;
    assert_eq!(frames.until(data).await.unwrap().payload.len(), 10);
    frames.send(&settings(&[(4, 0)])).await;
    frames.send(&update(1, 1)).await;
    frames.send(&frame(PING, 0, 0, PROBE)).await;
    // The window is at 0 now: -1 and 1.
    let next = frames
        .until(|frame| matches!(frame.kind, DATA | PING))
        .await;
    assert_eq!(next.unwrap().kind, PING);
    frames.send(&update(1, 5)).await;
    assert_eq!(frames.until(data).await.unwrap().payload.len(), 5);
    // The connection's.
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::new(stream);
    frames.send(&opening(&[(4, 1 << 20)])).await;
    frames.send(&get(1)).await;
    let mut length = 0;
    while length < 65_535 {
        let frame = frames.until(data).await.unwrap();
        assert!(frame.payload.len() <= 16_384);
        length += frame.payload.len();
    }
    assert_eq!(length, 65_535);
    frames.send(&frame(PING, 0, 0, PROBE)).await;
    let next = frames
        .until(|frame| matches!(frame.kind, DATA | PING))
        .await;
    assert_eq!(next.unwrap().kind, PING);
    frames.send(&update(0, 1 << 20)).await;
    let end = frames.until(|frame| frame.flags & END_STREAM != 0 && data(frame));
    assert!(end.await.is_some());
}

// REQ: R-3
#[tokio::test]
async fn what_is_sent_above_our_window_ends_the_stream() {
    let rig = Rig::new("", [server("mcp", Upstream::new())]);
    let stream = rig.palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    // An event stream takes no body: nothing is read, so no window is given back.
    frames
        .send(&post(1, &[("origin", "https://evil.example")]))
        .await;
    for _ in 0..1000 {
        if !frames.send(&frame(DATA, 0, 1, &[0; 16_384])).await {
            break;
        }
    }
    // The refusal may be there before the window is used up, or after.
    let mut ended = None;
    while ended.is_none()
        && let Some(frame) = frames.next().await
    {
        if matches!(frame.kind, GOAWAY | RST_STREAM) {
            ended = frame.code();
        }
    }
    assert!(
        matches!(ended, Some(NO_ERROR | FLOW_CONTROL_ERROR | STREAM_CLOSED)),
        "{ended:?}"
    );
}

// REQ: R-3
#[tokio::test]
async fn streams_above_the_limit_are_refused_and_free_ones_serve() {
    let hangs = server(
        "hang",
        Upstream::always(Reply::default().then(e2e::upstream::Step::Never)),
    );
    let rig = Rig::new(
        "limits.streams = 4",
        [hangs, server("mcp", Upstream::new())],
    );
    let stream = rig.palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    let first = frames.next().await.unwrap();
    assert!(
        first
            .payload
            .chunks(6)
            .any(|entry| entry == [0, 3, 0, 0, 0, 4]),
        "{first:?}"
    );
    let hang = request_block("GET", "/hang", &[]);
    for n in 0..6 {
        frames.send(&frame(HEADERS, 5, 2 * n + 1, &hang)).await;
    }
    for refused in [9, 11] {
        let reset = frames
            .until(|frame| frame.kind == RST_STREAM)
            .await
            .unwrap();
        assert_eq!(
            (reset.stream, reset.code()),
            (refused, Some(REFUSED_STREAM))
        );
    }
    frames.send(&reset(1)).await;
    frames.send(&get(13)).await;
    let answer = frames.until(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!((answer.stream, answer.status()), (13, Some(200)));
}

// REQ: R-3, G-15
#[tokio::test]
async fn goaway_of_a_client_lets_its_requests_finish() {
    let upstream = Upstream::answering(|request| {
        Reply::result(request, &serde_json::json!({})).after(Duration::from_millis(200))
    });
    let palisade = Palisade::before(&upstream);
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    frames.send(&get(1)).await;
    upstream.wait_for(1);
    frames.send(&frame(GOAWAY, 0, 0, &[0; 8])).await;
    let answer = frames.until(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!(answer.status(), Some(200));
    frames.rest().await;
    let answer = palisade.client().ask(Protocol::Http2, &Ask::call()).await;
    assert_eq!(answer.status, 200);
}
