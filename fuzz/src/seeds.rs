//! Writes the seeds: the valid histories as files, and some ways to damage them.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/history");
    std::fs::create_dir_all(&folder)?;
    for (number, base) in (0..).zip(workflow_fuzz::bases()) {
        std::fs::write(folder.join(format!("{}.json", base.name)), format!("{:#}\n", base.file))?;
        // A dozen damages of every kind; then of its rows.
        let damages = (0..12).flat_map(|n| [n % 4, n / 2, 1, n / 4, 2]);
        let rows = (0..6).flat_map(|n| [n % 3, 1, n + 1, 4]);
        let bytes: Vec<u8> =
            [number, 12].into_iter().chain(damages).chain([6]).chain(rows).collect();
        std::fs::write(folder.join(format!("{}.bytes", base.name)), bytes)?;
    }
    Ok(())
}
