//! The signals that ask a process to end.

/// Resolves at SIGTERM or SIGINT (Ctrl-C).
///
/// # Errors
/// When the system does not let signals be caught.
pub fn terminated() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
