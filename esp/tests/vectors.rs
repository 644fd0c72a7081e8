//! Known answers for every suite, with every provider.

#![allow(clippy::unwrap_used)]

mod common;

use common::{backends, hex, ipv4, opened, outbound, params, sealed};
use tidegate_esp::crypto::{AesKey, Cipher, Integrity, KeyMaterial, OpeningKey, SealingKey, Suite};
use tidegate_esp::{DropReason, Inbound, Params, Rejected, SequenceNumbers, Spi};

/// One AEAD example: key with salt, IV, associated data, plaintext, ciphertext with tag.
struct Aead {
    cipher: Cipher,
    key: &'static str,
    iv: &'static str,
    aad: &'static str,
    plaintext: &'static str,
    sealed: &'static str,
}

// The GCM specification's test cases 4 and 16, and the examples of ESP in draft-mcgrew-gcm-test-01 §4, the
// first of which has an extended sequence number (RFC 4106 §5); RFC 7634 appendix A.
const AEADS: [Aead; 6] = [
    Aead {
        cipher: Cipher::AesGcm16(AesKey::Bits128),
        key: "feffe9928665731c6d6a8f9467308308 cafebabe",
        iv: "facedbaddecaf888",
        aad: "feedfacedeadbeeffeedfacedeadbeef abaddad2",
        plaintext: "d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72
                    1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b39",
        sealed: "42831ec2217774244b7221b784d0d49c e3aa212f2c02a4e035c17e2329aca12e
                 21d514b25466931c7d8f6a5aac84aa05 1ba30b396a0aac973d58e091
                 5bc94fbc3221a5db94fae95ae7121a47",
    },
    Aead {
        cipher: Cipher::AesGcm16(AesKey::Bits256),
        key: "feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308 cafebabe",
        iv: "facedbaddecaf888",
        aad: "feedfacedeadbeeffeedfacedeadbeef abaddad2",
        plaintext: "d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72
                    1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b39",
        sealed: "522dc1f099567d07f47f37a32a84427d 643a8cdcbfe5c0c97598a2bd2555d1aa
                 8cb08e48590dbb3da7b08b1056828838 c5f61e6393ba7a0abcc9f662
                 76fc6ece0f4e1768cddf8853bb2d551b",
    },
    Aead {
        cipher: Cipher::AesGcm16(AesKey::Bits128),
        key: "4c80cdefbb5d10da906ac73c3613a634 2e443b68",
        iv: "4956ed7e3b244cfe",
        aad: "000043218765432100000000",
        plaintext: "45000048699a000080114db7c0a80102 c0a801010a9bf15638d3010000010000
                    00000000045f736970045f7564700373 69700963796265726369747902646b00
                    0021000101020201",
        sealed: "fecf537e729d5b07dc30df528dd22b76 8d1b98736696a6fd348509fa13ceac34
                 cfa2436f14a3f3cf65925bf1f4a13c5d 15b21e1884f5ff6247aeabb786b93bce
                 61bc17d768fd9732 459018148f6cbe722fd04796562dfdb4",
    },
    Aead {
        cipher: Cipher::AesGcm16(AesKey::Bits128),
        key: "feffe9928665731c6d6a8f9467308308 cafebabe",
        iv: "facedbaddecaf888",
        aad: "0000a5f80000000a",
        plaintext: "4500003e698f000080114dccc0a80102 c0a801010a980035002a2343b2d00100
                    00010000000000000373697009637962 65726369747902646b00000100010001",
        sealed: "deb22cd9b07c72c16e3a65beeb8df304 a5a5897d33ae530f1ba76d5d114d2a5c
                 3de81827c10e9a4f51330d0eec416642 cfbb85a5b47e48a4ec3b9ba95d918bd1
                 83b70d3aa8bc6ee4c309e9d85a41ad4a",
    },
    Aead {
        cipher: Cipher::AesGcm16(AesKey::Bits256),
        key: "abbccddef00112233445566778899aab abbccddef00112233445566778899aab 11223344",
        iv: "0102030405060708",
        aad: "4a2cbfe300000002",
        plaintext: "4500003069a6400080062690c0a80102 9389155e0a9e008b2dc57ee000000000
                    7002400020bf0000020405b401010402 01020201",
        sealed: "ff425c9b724599df7a3bcd510194e00d 6a78107f1b0b1cbf06efae9d65a5d763
                 748a637985771d347f0545659f14e99d ef842d8e
                 b335f4eecfdbf831824b4c4915956c96",
    },
    Aead {
        cipher: Cipher::ChaCha20Poly1305,
        key: CHACHA_KEY,
        iv: "1011121314151617",
        aad: "0102030400000005",
        plaintext: "45000054a6f200004001e778c6336405 c000020508005b7a3a080000553bec10
                    0007362708090a0b0c0d0e0f10111213 1415161718191a1b1c1d1e1f20212223
                    2425262728292a2b2c2d2e2f30313233 3435363701020204",
        sealed: "24039428b97f417e3c13753a4f05087b 67c352e6a7fab1b982d466ef407ae5c6
                 14ee8099d52844eb61aa95dfab4c02f7 2aa71e7c4c4f64c9befe2facc638e8f3
                 cbec163fac469b502773f6fb94e664da 9165b82829f641e0
                 76aaa8266b7fb0f7b11b369907e1ad43",
    },
];

const CHACHA_KEY: &str = "808182838485868788898a8b8c8d8e8f 909192939495969798999a9b9c9d9e9f a0a1a2a3";

#[test]
fn aead_examples_seal_and_open() {
    for backend in backends() {
        for example in &AEADS {
            let suite = Suite::aead(example.cipher).unwrap();
            let keys = KeyMaterial::new(&hex(example.key), &[]);
            let (iv, aad, plaintext) = (hex(example.iv), hex(example.aad), hex(example.plaintext));
            let mut packet = plaintext.clone();
            packet.extend([0; 16]);

            let (body, icv) = packet.split_at_mut(plaintext.len());
            SealingKey::new(backend, suite, &keys).unwrap().seal(&iv, &aad, body, &[], icv).unwrap();
            assert_eq!(packet, hex(example.sealed), "{:?}", example.cipher);

            let key = OpeningKey::new(backend, suite, &keys).unwrap();
            assert_eq!(key.open(&iv, &aad, &mut packet, &[]).unwrap(), plaintext);
        }
    }
}

// RFC 7634 appendix A
#[test]
fn the_whole_packet_of_the_chacha_example_opens() {
    let example = &AEADS[5];
    let packet = [hex(example.aad), hex(example.iv), hex(example.sealed)].concat();
    for backend in backends() {
        let inbound = inbound(backend, Suite::aead(example.cipher).unwrap(), 0x0102_0304, example.key);
        assert_eq!(opened(&inbound, &packet), Ok(hex(example.plaintext)[..84].to_vec()));
    }
}

// draft-mcgrew-gcm-test-01 §4. Both have ICMP or UDP behind the datagram as their next header, which tunnel
// mode refuses: that it comes to this shows that integrity held.
#[test]
fn whole_packets_of_the_gcm_examples_are_authentic() {
    for example in &AEADS[3..5] {
        let packet = [hex(example.aad), hex(example.iv), hex(example.sealed)].concat();
        let spi = u32::from_be_bytes(*packet.first_chunk().unwrap());
        for backend in backends() {
            let inbound = inbound(backend, Suite::aead(example.cipher).unwrap(), spi, example.key);
            let Rejected { reason, authentic } = opened(&inbound, &packet).unwrap_err();
            assert_eq!((reason, authentic.is_some()), (DropReason::NextHeader, true));
        }
    }
}

// RFC 4543 §3.3, figure 2; the example is the one for GMAC in draft-mcgrew-gcm-test-01 §4.
#[test]
fn the_whole_packet_of_the_gmac_example_is_authentic() {
    let packet = hex("00004321 00000007 0000000000000000
        45000030da3a00008001df3bc0a80005 c0a800010800c6cd0200070061626364
        65666768696a6b6c6d6e6f7071727374 01020201
        f2a9a836e155106aa8dcd618e4099aaa");
    for backend in backends() {
        let suite = Suite::aead(Cipher::AesGmac(AesKey::Bits128)).unwrap();
        let inbound = inbound(backend, suite, 0x4321, "4c80cdefbb5d10da906ac73c3613a634 22433c64");
        let Rejected { reason, authentic } = opened(&inbound, &packet).unwrap_err();
        assert_eq!((reason, authentic.is_some()), (DropReason::NextHeader, true));
    }
}

// RFC 4543 §3.3, figure 3: the whole number stands behind the SPI, whatever is sent.
#[test]
fn gmac_covers_the_extended_number_where_it_belongs() {
    for bits in [AesKey::Bits128, AesKey::Bits256] {
        let suite = Suite::aead(Cipher::AesGmac(bits)).unwrap();
        let params = Params { sequence_numbers: SequenceNumbers::Extended, ..params(suite) };
        let packet = sealed(&outbound(&params), &ipv4(100));
        let (covered, icv) = packet.split_at(packet.len() - 16);

        let input = [&covered[..4], &[0; 4], &covered[4..]].concat();
        let mut expected = [0; 16];
        let key = SealingKey::new(backends()[0], suite, &params.keys).unwrap();
        key.seal(&covered[8..16], &input, &mut [], &[], &mut expected).unwrap();

        assert_eq!(icv, expected);
    }
}

// RFC 3602 §4, cases 1 to 4
#[test]
fn cbc_examples_encrypt() {
    let examples = [
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            b"Single block msg".to_vec(),
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            (0..32).collect(),
            "d296cd94c2cccf8a3a863028b5e1dc0a 7586602d253cfff91b8266bea6d61ab1",
        ),
        (
            "6c3ea0477630ce21a2ce334aa746c2cd",
            "c782dc4c098c66cbd9cd27d825682c81",
            b"This is a 48-byte message (exactly 3 AES blocks)".to_vec(),
            "d0a02b3836451753d493665d33f0e886 2dea54cdb293abc7506939276772f8d5
             021c19216bad525c8579695d83ba2684",
        ),
    ];
    for (key, iv, plaintext, ciphertext) in examples {
        assert_eq!(cbc_encrypted(AesKey::Bits128, key, iv, &plaintext), hex(ciphertext));
    }
}

// NIST SP 800-38A F.2.3 and F.2.5, first two blocks
#[test]
fn cbc_with_longer_keys_encrypts() {
    let plaintext = hex("6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51");
    let iv = "000102030405060708090a0b0c0d0e0f";
    assert_eq!(
        cbc_encrypted(AesKey::Bits192, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", iv, &plaintext),
        hex("4f021db243bc633d7178183a9fa071e8 b4d9ada9ad7dedf4e5e738763f69145a")
    );
    assert_eq!(
        cbc_encrypted(
            AesKey::Bits256,
            "603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4",
            iv,
            &plaintext
        ),
        hex("f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d")
    );
}

// RFC 3602 §4, cases 7 and 8: tunnel mode. The ICV is ours, since they have none.
#[test]
fn tunnel_mode_examples_of_cbc_open() {
    let examples = [
        (
            "00008765 00000002 f4e765244f6407adf13dc1380f673f37
             773b5241a4c449225e4f3ce5ed611b0c 237ca96cf74a93013c1b0ea1a0cf70f8
             e4ecaec78ac53aad7a0f022b859243c6 47752e94a859352b8a4d4d2decd136e5
             c177f132ad3fbfb2201ac9904c74ee0a 109e0ca1e4dfe9d5a100b842f1c22f0d",
            "45000054090400004001f988c0a87b03 c0a87bc808009f76a90a0100b49c083d
             02a2040008090a0b0c0d0e0f10111213 1415161718191a1b1c1d1e1f20212223
             2425262728292a2b2c2d2e2f30313233 34353637",
        ),
        (
            "00008765 00000005 85d47224b5f3dd5d2101d4ea8dffab22
             15b92683819596a8047232cc00f7048f e45318e11f8a0f62ede3c3fc61203bb5
             0f980a08c9843fd3a1b06d5c07ff9639 b7eb7dfb3512e5de435e7207ed971ef3
             d2726d9b5ef6affc6d17a0decbb13892",
            "45000044090c00004001f990c0a87b03 c0a87bc80800d63caa0a0200c69c083d
             a3de0300ffffffffffffffffffffffff ffffffffffffffffffffffffffffffff
             ffffffff",
        ),
    ];
    let key = hex("0123456789abcdef0123456789abcdef");
    for (packet, datagram) in examples {
        let mut packet = hex(packet);
        let mut icv = [0; 16];
        hmac(Integrity::HmacSha256_128, &[7; 32], &packet, &mut icv);
        packet.extend(icv);
        let params = Params {
            spi: Spi::new(0x8765).unwrap(),
            keys: KeyMaterial::new(&key, &[7; 32]),
            ..params(common::cbc())
        };
        for backend in backends() {
            let inbound = Inbound::new(backend, &params).unwrap();
            assert_eq!(opened(&inbound, &packet), Ok(hex(datagram)));
        }
    }
}

// RFC 4868 §2.7.2; RFC 2202 §3 for SHA-1, case 1, and a case of 20 bytes key and 50 of data.
#[test]
fn hmac_examples_authenticate() {
    let jefe = b"Jefe".repeat(16);
    let examples: [(Integrity, &[u8], &[u8], &str); 11] = [
        (Integrity::HmacSha1_96, &[0x0b; 20], b"Hi There", "b617318655057264e28bc0b6"),
        (Integrity::HmacSha1_96, &[0xaa; 20], &[0xdd; 50], "125d7342b9ac11cd91a39af4"),
        (Integrity::HmacSha256_128, &[0x0b; 32], b"Hi There", "198a607eb44bfbc69903a0f1cf2bbdc5"),
        (
            Integrity::HmacSha256_128,
            &jefe[..32],
            b"what do ya want for nothing?",
            "167f928588c5cc2eef8e3093caa0e87c",
        ),
        (Integrity::HmacSha256_128, &[0xaa; 32], &[0xdd; 50], "cdcb1220d1ecccea91e53aba3092f962"),
        (
            Integrity::HmacSha384_192,
            &[0x0b; 48],
            b"Hi There",
            "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973",
        ),
        (
            Integrity::HmacSha384_192,
            &jefe[..48],
            b"what do ya want for nothing?",
            "2c7353974f1842fd66d53c452ca42122b28c0b594cfb184d",
        ),
        (
            Integrity::HmacSha384_192,
            &[0xaa; 48],
            &[0xdd; 50],
            "809f439be00274321d4a538652164b53554a508184a0c316",
        ),
        (
            Integrity::HmacSha512_256,
            &[0x0b; 64],
            b"Hi There",
            "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8",
        ),
        (
            Integrity::HmacSha512_256,
            &jefe,
            b"what do ya want for nothing?",
            "cb370917ae8a7ce28cfd1d8f4705d6141c173b2a9362c15df235dfb251b15454",
        ),
        (
            Integrity::HmacSha512_256,
            &[0xaa; 64],
            &[0xdd; 50],
            "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8",
        ),
    ];
    for (integrity, key, data, expected) in examples {
        let mut icv = vec![0; integrity.icv_len()];
        hmac(integrity, key, data, &mut icv);
        assert_eq!(icv, hex(expected), "{integrity:?}");
    }
}

// RFC 4303 §2.8: the high half counts as if it stood behind the padding.
#[test]
fn the_unsent_half_of_a_number_is_under_the_hmac() {
    let params = Params { sequence_numbers: SequenceNumbers::Extended, ..params(common::null()) };
    let packet = sealed(&outbound(&params), &ipv4(100));
    let (covered, icv) = packet.split_at(packet.len() - 16);
    let mut expected = [0; 16];
    hmac(Integrity::HmacSha256_128, &params.keys.integrity, &[covered, &[0; 4]].concat(), &mut expected);
    assert_eq!(icv, expected);
}

// RFC 8750 §4
#[test]
fn an_implicit_iv_is_the_sequence_number() {
    for cipher in [Cipher::AesGcm16(AesKey::Bits128), Cipher::ChaCha20Poly1305] {
        let suite = Suite::aead(cipher).unwrap();
        for sequence_numbers in common::SEQUENCE_NUMBERS {
            let explicit = outbound(&Params { sequence_numbers, ..params(suite) });
            let implicit =
                outbound(&Params { sequence_numbers, ..params(suite.with_implicit_iv().unwrap()) });
            for number in 1..4_u64 {
                let (explicit, implicit) = (sealed(&explicit, &ipv4(60)), sealed(&implicit, &ipv4(60)));
                assert_eq!(explicit[8..16], number.to_be_bytes());
                assert_eq!(implicit, [&explicit[..8], &explicit[16..]].concat());
            }
        }
    }
}

fn inbound(backend: tidegate_esp::crypto::Backend, suite: Suite, spi: u32, key: &str) -> Inbound {
    let keys = KeyMaterial::new(&hex(key), &[]);
    Inbound::new(backend, &Params { spi: Spi::new(spi).unwrap(), keys, ..params(suite) }).unwrap()
}

fn cbc_encrypted(size: AesKey, key: &str, iv: &str, plaintext: &[u8]) -> Vec<u8> {
    let suite = Suite::with_integrity(Cipher::AesCbc(size), Integrity::HmacSha256_128).unwrap();
    let keys = KeyMaterial::new(&hex(key), &[0; 32]);
    let mut body = plaintext.to_vec();
    SealingKey::new(backends()[0], suite, &keys)
        .unwrap()
        .seal(&hex(iv), &[], &mut body, &[], &mut [0; 16])
        .unwrap();
    body
}

fn hmac(integrity: Integrity, key: &[u8], data: &[u8], icv: &mut [u8]) {
    let suite = Suite::with_integrity(Cipher::Null, integrity).unwrap();
    let keys = KeyMaterial::new(&[], key);
    for backend in backends() {
        SealingKey::new(backend, suite, &keys).unwrap().seal(&[], data, &mut [], &[], icv).unwrap();
    }
}
