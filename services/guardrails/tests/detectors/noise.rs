//! Ordinary text full of numbers, codes and dots in which there is no personal data:
//! each line by itself, and all of them in one text, must find nothing by default.

use crate::support::findings;

#[rustfmt::skip]
const PROSE: &[&str] = &[
    "It was a bright cold day in April, and the clocks were striking thirteen.",
    "In 1969 three men flew to the moon; 600 million people watched.",
    "The meeting moved from 10:30 to 14:45 on Tuesday, room 4.12.",
    "Chapter 12, section 3.4.5, page 1024, table 7, figure 2.1.",
    "She ran 42.195 km in 2:58:31 and came 1,204th of 35,000.",
    "The GDP grew by 3.14159 percent to 1 234 567 890 dollars.",
    "Pi is 3.14159265358979323846264338327950288.",
    "Call of duty sold 4000000 copies; the driver of growth was Asia.",
    "He scored 12 points, 9 rebounds and 11 assists in 38 minutes.",
    "The recipe needs 250 g flour, 3 eggs, 125 ml milk at 180 degrees for 45 min.",
    "Boeing 747-400, Airbus A320-200, flight LH 400, gate B42, seat 12A.",
    "Vitamins A, B12, C4, D3, K2 and the S3 bucket, the M4 motorway, the A380.",
    "Windows 95, Windows 2000, iPhone 15, PS5, RTX 4090, Boeing 737.",
    "The bank of the river was 200 m wide; his account of it was 30 pages long.",
    "The social contract was published in 1762, the license plate in 1893.",
    "A patient man waits; 3 of 10 patients wait longer than 120 days.",
    "The passport office opens at 9, closes at 17, and is shut on 25 December.",
    "Tax on 50000 is 12500, tax on 100000 is 31000, social insurance apart.",
    "The ISBN is 978-3-16-148410-0, the ISSN 2049-3630, the DOI 10.1000/182.",
    "EAN 4006381333931, UPC 036000291452, ASIN B08N5WRWNW.",
    "The password is required; your token expires; reset the secret question.",
    "This is not a drill, i.e. it is real, e.g. the alarm at 5 a.m. in the U.S.",
    "It ended 3-2 (1-1, 2-2) after 120 minutes; the tie-break went 7-6 (8-6).",
    "Population 8,336,817; area 783.8 km2; density 10,715/km2; founded 1624.",
    "Psalm 119:105, John 3:16, Genesis 1:1-31, sura 2:255.",
    "Route 66, exit 12B, mile 104.5, 55 mph, 1,500 ft.",
    "The VIN rule is long; the pan is hot; the sin is forgiven; the NIE is a form.",
    "My car is 12 years old, my house 90 years old, the tree 300 years old.",
    "Serial entrepreneurs, device drivers, medical records, health plans, account managers.",
    "We owe $1,234,567.89, i.e. 1.234.567,89 EUR or 1 234 567,89 in France.",
];

#[rustfmt::skip]
const LOGS: &[&str] = &[
    "2024-01-15T09:12:44.123456Z INFO server started in 1.234s pid=12345",
    "2024-01-15 09:12:44,123 [main] DEBUG o.s.b.f.s.DefaultListableBeanFactory - done",
    "Jan 15 09:12:44 host01 sshd[12345]: session opened for user root by (uid=0)",
    "[1705309964.123456] usb 1-2: new high-speed USB device number 7 using xhci_hcd",
    "I0115 09:12:44.123456   12345 main.go:42] listening on :8080",
    "127 requests, 3 errors, p50=12ms p99=345ms max=1234ms",
    "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 flags=01",
    "request_id=550e8400-e29b-41d4-a716-446655440000 status=200 bytes=1048576",
    "GET /api/v1/orders/8842?limit=100&offset=200 HTTP/1.1 200 5123 0.012",
    "kernel: [12345.678901] Out of memory: Killed process 4242 (java) total-vm:8388608kB",
    "java.lang.NullPointerException at com.acme.Foo.bar(Foo.java:123)",
    "Traceback (most recent call last): File \"main.py\", line 42, in <module>",
    "thread 'main' panicked at src/main.rs:42:13: index out of bounds: len is 3 but 5",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "md5 d41d8cd98f00b204e9800998ecf8427e  empty.txt",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 (HEAD -> main, tag: v1.2.3)",
    "Merge pull request #12345 from feature/ABC-1234-add-thing",
    "pod/web-7d4b9c6f5d-x2x7k 1/1 Running 0 12d",
    "image: nginx:1.25.3-alpine@sha256:2d2a2257c6e9d2e5b50d4fbeb436d8d2b55631c2a89935a425b417eb95212686",
    "Linux 5.15.0-91-generic #101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023 x86_64",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36",
    "cpu 123456789 987654 23456789 1234567890 1234567 0 123456 0 0 0",
    "MemTotal: 16384256 kB MemFree: 1234567 kB SwapCached: 0 kB",
    "eth0: RX packets 123456789 bytes 98765432101 TX packets 87654321 bytes 1234567890",
    "1705309964 1705309964123 1705309964123456 1705309964123456789",
    "Elapsed 00:12:34.567, ETA 01:23:45, 45.6% [=====>    ] 1234/5678",
    "ERROR 1045 (28000): Access denied for user 'app' (using password: YES)",
    "WARN token expired, refreshing; account service unavailable (503), retry 3/5",
    "exit code 137, signal 9, core dumped at 0x00007fff5fbff8c0",
    "job_20240115_091244_00042 finished; batch 000123456; shard 0007 of 0128",
];

#[rustfmt::skip]
const CODE: &[&str] = &[
    "let x: [u8; 16] = [0x41, 0x11, 0x11, 0x11]; // 1234 5678",
    "for (int i = 0; i < 1000000000; ++i) { a[i] = b[i + 1]; }",
    "const MAX: u64 = 18_446_744_073_709_551_615; let y = 123456789;",
    "std::vector<int> v{1, 2, 3}; std::cout << v.size() << std::endl;",
    "import numpy as np; x = np.zeros((128, 384, 4096)); x.shape[0]",
    "SELECT id, name FROM users WHERE id IN (1000001, 1000002, 1000003) LIMIT 100;",
    "INSERT INTO t VALUES (123456789, 'abc', 987654321, NULL, 0.123456789);",
    "UPDATE accounts SET balance = balance - 10000 WHERE account_type = 3;",
    "#define VERSION \"1.2.3.4\" /* build 20240115 */",
    "if err != nil { return fmt.Errorf(\"token %d: %w\", 42, err) }",
    "self.assertEqual(hash(x), 1234567890123456)",
    "color: #ff8800; background: rgba(255, 136, 0, 0.5); margin: 0 auto 12px;",
    "<svg viewBox=\"0 0 1024 1024\"><path d=\"M12.5 3.75L100.25 200.125Z\"/></svg>",
    "git clone git@github.com:org/repo.git && cd repo && make -j8",
    "pip install torch==2.1.0+cu121 numpy>=1.26,<2.0",
    "npm i lodash@4.17.21 react@^18.2.0 @types/node@20.10.5",
    "docker run -p 8080:80 -e MODE=prod --memory 512m app:1.2.3",
    "chmod 0755 run.sh; dd if=/dev/zero of=x bs=4096 count=1024",
    "regex = r'^[0-9]{3}-[0-9]{2}-[0-9]{4}$'",
    "password = getpass.getpass(); token = os.getenv('TOKEN')",
    "def login(username: str, password: str) -> Token: ...",
    "<input type=\"password\" name=\"password\" id=\"password\" required>",
    "a.b.c.d(e.f, g.h); foo.rs bar.py baz.go main.cc util.sh x.pl",
    "0xdeadbeef 0b101010 0o755 1e-9 6.02214076e23 NaN -0.0",
    "let id = Uuid::parse_str(\"67e55044-10b1-426f-9247-bb680e5fe0c8\");",
    "assert_eq!(crc32(b\"123456789\"), 0xcbf43926);",
    "System.out.printf(\"%08d %016x%n\", 12345678, 0xCAFEBABEL);",
    "x = [0.1234, -0.5678, 0.9012, 0.3456, -0.7890, 0.2345]",
    "weights: tensor([[-0.0123, 0.4567], [0.8901, -0.2345]])",
    "matrix 12 34 56 / 78 90 12 / 34 56 78",
    "License: MIT OR Apache-2.0; driver: nvidia 535.104.05; account: savings",
    "rows[1::2] cols[::3] f64::MAX i32::MIN dead::beef::cafe",
    "base64: SGVsbG8gV29ybGQhIFRoaXMgaXMgYSB0ZXN0IG9mIGJhc2U2NA==",
    "sk-circle sk-spinner btn-primary-outline-large-rounded-full-width-container",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 ssh-rsa fingerprint",
    "OPENSSL_1_1_1w GLIBC_2.34 CUDA_VERSION=12.1.105",
];

#[rustfmt::skip]
const DOCUMENTS: &[&str] = &[
    "Invoice INV-2024-001234, order 8842-19, due 15 February 2024, total $1,299.00",
    "PO 4500123456 / line 00010 / material 100200300 / plant 1000 / qty 25",
    "Item 123456789 Qty 10 Price 12.34 Total 123.40 VAT 20% 24.68",
    "Tracking 1Z999AA10123456784, 9400 1000 0000 0000 0000 00, RB123456785GB",
    "Ticket JIRA-12345, bug #98765, PR-1, RFC 2119, CVE-2024-12345, ADR 0007",
    "SKU AB-12345-XL, model XJ900, part 6ES7 214-1AG40-0XB0, batch L20240115A",
    "Meter reading 123456 on 2024-01-15, previous 120034, usage 3422 kWh",
    "Lot 42, block 7, parcel 123-456-789, book 1234, page 567",
    "Revenue 2021 2022 2023: 1200 1350 1500; growth 12.5% 11.1%",
    "Q1 1,234 Q2 2,345 Q3 3,456 Q4 4,567 total 11,602",
    "Table: 100 200 300 400 500 600 700 800 900 1000",
    "Balance sheet 31.12.2023: assets 1.234.567,89; liabilities 987.654,32",
    "Coupon SAVE20NOW, voucher ABCD-EFGH-IJKL-MNOP, gift 1234-ABCD",
    "Drawing DWG-4711-0815 rev. C, sheet 2 of 5, scale 1:100",
    "Standard ISO 9001:2015, EN 60601-1, IEC 61131-3, DIN 476, ASTM D638-14",
    "US patent 6,285,999 B1, EP 1234567 B1, WO 2020/123456 A1",
    "Case No. 1:21-cv-01234, 410 U.S. 113 (1973), 42 U.S.C. 1983",
    "CAS 50-00-0, EC 200-001-8, UN 1198, ATC N02BE01, ICD-10 E11.9, CPT 99213",
    "NCT01234567, PMID 12345678, PMC1234567, arXiv:2301.12345v2",
    "rs1801133 chr1:11856378 ENSG00000177000 NM_005957.5 P42898",
    "LOT: 2B1234C EXP: 12/2026 REF 123-4567",
    "Hex bolt M8x40 DIN 933 8.8, 100 pcs, 4.3 kg",
    "Resistor 10k 0.25W 1%, capacitor 100nF 50V X7R 0603",
    "Score card: birdie 3, par 4, bogey 5; handicap 12.4",
    "Seat map 12A 12B 12C; PNR ABC123; e-ticket 220-1234567890",
    "Week 42/2024, KW 03, FY2024/25, H1, YTD 12.3",
    "Channel 5, 101.5 FM, 14.230 MHz, 2.4 GHz, 48000 Hz, 16 bit",
    "Sizes 36 38 40 42 44; EU 42 UK 8 US 9; 10.5 11 11.5",
    "Lottery 4 8 15 16 23 42, joker 1234567",
    "Barometer 1013.25 hPa, 21.5 C, 45% rH, wind 12 m/s NW",
];

#[rustfmt::skip]
const DATA: &[&str] = &[
    r#"{"id": 1234567890, "count": 42, "ratio": 0.123456789, "ok": true}"#,
    r#"{"timestamp": 1705309964123, "event": "click", "x": 512, "y": 384}"#,
    r#"{"uuid": "550e8400-e29b-41d4-a716-446655440000", "version": "1.2.3.4"}"#,
    r#"{"etag": "33a64df551425fcc55e4d42a148795d9f25f89d4", "size": 123456789}"#,
    r#"{"order_id": "ORD-2024-000123", "sku": "AB12345", "qty": 3}"#,
    r#"{"embedding": [0.0123, -0.0456, 0.0789, 0.1234, -0.5678]}"#,
    r#"{"usage": {"prompt_tokens": 1234, "completion_tokens": 567, "total_tokens": 1801}}"#,
    r#"{"model": "gpt-4-0613", "temperature": 0.7, "max_tokens": 4096, "seed": 123456789}"#,
    r#"{"error": {"code": 401, "message": "token expired", "request": "req_011CSHoEeqs5C35K2UUqR7Fy"}}"#,
    r#"{"type": "object", "properties": {"password": {"type": "string", "minLength": 12}}}"#,
    "id,name,value,ts\n1000001,alpha,3.14,1705309964\n1000002,beta,2.71,1705309965",
    "123456789;987654321;1234;5678;0,5;1,5",
    "2024-01-15,100.25,101.50,99.75,100.00,12345678",
    "a\tb\tc\n10000001\t20000002\t30000003",
    "<row id=\"123456789\" score=\"12\" views=\"123456\" date=\"2024-01-15T00:00:00\"/>",
    "<price currency=\"EUR\">1234.56</price><ean>4006381333931</ean>",
    "key: 123456789\nother: 0123456789\nlist: [1, 22, 333, 4444, 55555]",
    "server.port=8080\nspring.datasource.hikari.maximum-pool-size=10",
    "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2024\"",
    "rate(http_requests_total{code=\"500\"}[5m]) > 0.05",
    "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 123456789.12",
    "@@ -123,7 +123,9 @@ fn main() {",
    "index 83db48f..bf269f4 100644",
    "0 0 * * 1-5 /usr/bin/backup --keep 30 >> /var/log/backup.log 2>&1",
    "BEGIN:VEVENT\nDTSTART:20240115T091244Z\nSEQUENCE:3\nEND:VEVENT",
    "01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10",
    "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef cafebabe",
    "U+1F600 U+200B \\u00e9 \\x41 &#8364; %20%2F",
    "4f1e7c3a-0d2b 9a8b7c6d5e4f 0123-4567-89ab-cdef",
    "000000000 111111111 999999999 0000000000 1111111111 9999999999",
];

#[rustfmt::skip]
const LANGUAGES: &[&str] = &[
    "Die Rechnung 2024-0815 über 1.204,50 € wurde am 03.02.2026 beglichen.",
    "Der Zug ICE 4711 fährt um 12:34 Uhr von Gleis 8 ab; Wagen 21, Platz 64.",
    "Im Jahr 1989 lebten 16.433.796 Menschen in der DDR, auf 108.333 km².",
    "Das Konto ist leer, das Kennzeichen verloren, der Ausweis abgelaufen.",
    "Artikel 12345678, Bestellnummer 987654321, Liefermenge 25 Stück.",
    "La facture n° 2024-1234 de 1 204,50 € est due le 15 février 2024.",
    "Le train de 8 h 45 arrive à 12 h 30, voie 7, voiture 12, place 61.",
    "En 2023, 68 042 591 habitants vivaient sur 643 801 km².",
    "El pedido 12345678 se entregará en 3 a 5 días; total 1.299,00 €.",
    "La población es de 47.615.034 habitantes; la superficie, 505.990 km².",
    "L'ordine 20240115 costa 99,90 euro; il treno 9512 parte alle 10:20.",
    "O pedido 98765432 custa R$ 1.234,56 e chega em 15/02/2024.",
    "Het artikel 123456789 kost € 12,34; bestelnummer 2024001234.",
    "Zamówienie 12345678901 kosztuje 1 234,56 zł; faktura FV/2024/01/123.",
    "Beställning 20240115-1234 kostar 1 299 kr; leverans vecka 7.",
    "Заказ № 1234567890 на сумму 12 345,67 руб. от 15.01.2024.",
    "Население 146 447 424 человек, площадь 17 125 191 км².",
    "订单号1234567890123，金额1,234.56元，2024年1月15日。",
    "会议改到星期四下午三点，地点302室，共25人。",
    "注文番号 123-4567890-1234567、合計 12,345 円、2024年1月15日",
    "주문 번호 20240115-0001234, 총액 12,345원",
    "رقم الطلب 1234567890 والمبلغ 1,234.56",
    "ऑर्डर संख्या 1234567890, कुल 1,234.56 रुपये",
    "Sipariş 123456789, tutar 1.234,56 TL, tarih 15.01.2024",
    "Đơn hàng 123456789, tổng 1.234.567 đồng",
];

/// Words of context beside numbers that are something else.
#[rustfmt::skip]
const NEAR_MISSES: &[&str] = &[
    "The account manager called 12345678 people; total calls: 1234.",
    "SELECT phone FROM users WHERE id = 12345678",
    "phone_id=123456789012 tel_id: 1234567890123 CALLID 9876543210",
    "function call took 12345678 ns; call stack 0x7fff 12345678",
    "mobile subscribers: 45000000 in 2019, 46123456 in 2020",
    "the mobile app v 20231234, build 34567890; mobile.app.version=12345678",
    "My bank account was hacked 3 times in 2019; account ending in 1234.",
    "The patient was given 5000000 units; MRN is required; member since 2012345.",
    "vehicle 12345 in lot 99, plate no. 12, VIN decode: 17 characters",
    "gps time 1234567890, lat 12.345678 ms, weights at location 3",
    "API key: none; api_key: str = Field(...); x-api-key: required",
    "token: Optional[str] = None; \"token\": \"string\"; token=undefined&x=1",
    "SECRET_KEY=${SECRET_KEY} auth_token=$AUTH_TOKEN csrf_token: {{ csrf_token }}",
    "export TOKEN=$(cat /run/secrets/token1234567890); pwd=/srv/user/project1",
    "passwords are stored with bcrypt cost=12; password=password; pwd: /var/lib/app2",
    "token type: bearer; token endpoint /oauth2/v2/token; client_secret: type: string",
    "dl 20240115 and ul 30 Mbps; the MIT license number of 2024",
    "reborn in 1/2001, birth rates of 12.12.12, the birth of 1-1-01",
    "tax 123456782 dollars, insurance 046454286 claims, provider 1234567890",
    "IBAN: DE00 0000 0000 0000 0000 00, wallet 0x0000000000000000000000000000000000000000",
    "NHS 111 service; the pan holder; ABA therapy 123456789; routing 123456789",
    "uid=1000(user) gid=1000(user) groups=1000; UID 123412341234",
];

#[test]
fn nothing_is_found_in_text_without_personal_data() {
    let tables = [PROSE, LOGS, CODE, DOCUMENTS, DATA, LANGUAGES, NEAR_MISSES];
    let lines: Vec<&str> = tables.into_iter().flatten().copied().collect();
    assert!(lines.len() >= 150, "{} lines", lines.len());
    let mut found = Vec::new();
    for line in &lines {
        for finding in findings(line) {
            let value = &line[finding.start_byte..finding.end_byte];
            found.push(format!(
                "{} `{value}` in: {line} {:?}",
                finding.kind, finding.reasons
            ));
        }
    }
    assert!(found.is_empty(), "{}\n{}", found.len(), found.join("\n"));
}

#[test]
fn lines_of_noise_beside_one_another_make_no_finding_either() {
    for table in [PROSE, LOGS, CODE, DOCUMENTS, DATA, LANGUAGES, NEAR_MISSES] {
        let text = table.join("\n");
        let found: Vec<String> = findings(&text)
            .iter()
            .map(|finding| {
                format!(
                    "{} `{}`",
                    finding.kind,
                    &text[finding.start_byte..finding.end_byte]
                )
            })
            .collect();
        assert!(found.is_empty(), "{found:?}");
    }
}
