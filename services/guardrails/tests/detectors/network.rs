//! Hardware addresses, web addresses, host names.

use crate::support::{detects, finds, ignores, reasons};

#[test]
fn hardware_addresses_are_found_in_every_usual_form() {
    // RFC 7042 section 2.1.2 sets 00-00-5E-00-53-xx aside for documentation.
    finds(
        "MAC_ADDRESS",
        &[
            "eth0 «00:00:5e:00:53:af» up",
            "«00-00-5E-00-53-AF», «0000.5e00.53af»",
            "EUI-64 «02:00:5e:10:00:00:00:01».",
            r#"{"mac":"«3c:22:fb:4a:9e:01»"}"#,
        ],
    );
    ignores(
        "mac_address",
        &[
            "ff:ff:ff:ff:ff:ff and 00:00:00:00:00:00",
            "SHA256:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89",
            "ab:cd:ef:01:23:45:67:89:ab",
            "20-11-26-09-30-00 and 1234.5678.9012",
            "00:00:5e:00:53",
            "x00:00:5e:00:53:af",
        ],
    );
}

#[test]
fn web_addresses_are_found_to_their_end_and_not_beyond() {
    detects(
        "url",
        "URL",
        &[
            "see «https://example.com».",
            "(«http://www.example.co.uk/a/b?c=d&e=%20f#g»)",
            "<a href=\"«https://example.com/x»\">",
            "[text](«https://en.wikipedia.org/wiki/Rust_(programming_language)»)",
            "«HTTPS://EXAMPLE.COM/A», «ftp://ftp.example.org/pub»; «www.example.de/pfad»!",
            "«http://192.0.2.1:8080/x» «http://[2001:db8::1]/y»",
            "请看«https://example.cn/»页面",
        ],
    );
    ignores(
        "url",
        &[
            "http:// and https://, http://localhost:3000/x",
            "www. or www.x",
            "std://x and xhttps://example.com",
        ],
    );
}

#[test]
fn hosts_are_found_and_files_methods_and_abbreviations_are_not() {
    detects(
        "domain",
        "DOMAIN_NAME",
        &[
            "«example.com» and «sub.example.co.uk».",
            "the site «visualtrips.hu», «EXAMPLE.ORG»",
            "write to «mail.example.io», see «www.example.me»",
            "end of «www.example.com».Then more",
        ],
    );
    ignores(
        "domain",
        &[
            "main.rs lib.py README.md build.sh e.g. i.e. a.m. U.S. etc.",
            "a.b() foo.com() self.net[0] x.info_y",
            "bob@example.com",
            "System.out.println(x); np.array(x); os.path.join(a)",
            "1.2.3 v1.2.3.com2 3.14",
            "the end.It is late.So we go.To bed",
            "ASP.NET and Socket.IO and node.js and Vue.js",
            "/usr/lib/foo.com C:\\x\\command.com",
            "-bad-.com .com com.",
        ],
    );
}

#[test]
fn a_finding_says_which_form_it_had() {
    assert_eq!(
        reasons("mac_address", "00:00:5e:00:53:af"),
        ["pattern:colons", "eui"]
    );
    assert_eq!(
        reasons("url", "https://example.com"),
        ["pattern:scheme", "rfc3986"]
    );
}
