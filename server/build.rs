//! Embeds the web interface again when it was built again.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A path that does not exist would make every build a new one.
    if std::path::Path::new("../web/build").is_dir() {
        println!("cargo:rerun-if-changed=../web/build");
    }
}
