//! Signals of the operating system, as the gateway wants to hear of them.

use std::io;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// One message for each SIGTERM or SIGINT. SIGHUP is taken, so that a closed terminal does not
/// kill a gateway half way through a request; it drains too.
pub(crate) fn stop() -> io::Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel(4);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let [mut terminate, mut interrupt, mut hangup] = {
        let _inside = runtime.enter();
        listen()?
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                        _ = hangup.recv() => {}
                    }
                    if sender.send(()).await.is_err() {
                        return;
                    }
                }
            });
        })?;
    Ok(receiver)
}

fn listen() -> io::Result<[Signal; 3]> {
    Ok([
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ])
}
