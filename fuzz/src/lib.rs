//! What the fuzz targets share.

/// Decodes; and where that succeeds, demands that the value encodes to the bytes that came in.
#[macro_export]
macro_rules! canonical {
    ($type:ty, $bytes:expr) => {{
        if let Ok(value) = <$type>::decode($bytes, &podseal_protocol::Limits::DEFAULT) {
            assert_eq!(value.encode(), $bytes);
        }
    }};
}
