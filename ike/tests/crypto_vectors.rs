//! Known answers from the RFCs, for every algorithm. Private values come in through the seeded provider, and
//! what is public and deterministic is asked of all of them.

mod crypto_support;

use crypto_support::{hex, providers, vector};
use tidegate_ike::crypto::seeded::import;
use tidegate_ike::crypto::{
    GroupId, PrfId, SEEDED, SeededRandom, SignatureEncoding, SignatureScheme, VerifyInput,
};

/// RFC 4868 §2.7.1, whose cases are those of RFC 4231.
#[test]
fn hmac_sha2_prfs_answer_as_rfc_4868() {
    let ids = [PrfId::HmacSha256, PrfId::HmacSha384, PrfId::HmacSha512];
    for provider in providers() {
        for (key, data, answers) in PRF_HMAC_SHA2 {
            for (id, answer) in ids.into_iter().zip(*answers) {
                let key = provider.prf(id).expect("a PRF").key(key);
                assert_eq!(*key.compute(&[data]), hex(answer), "{} {id}", provider.name);
            }
        }
    }
}

/// RFC 2202 §3.
#[test]
fn hmac_sha1_answers_as_rfc_2202() {
    for provider in providers() {
        let prf = provider.prf(PrfId::HmacSha1).expect("a PRF");
        let answer = prf.key(&[0x0b; 20]).compute(&[b"Hi There"]);
        assert_eq!(*answer, hex("b617318655057264e28bc0b6fb378c8ef146be00"));
        let answer = prf.key(b"Jefe").compute(&[b"what do ya want", b" for nothing?"]);
        assert_eq!(*answer, hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
    }
}

/// RFC 5903 §8.
#[test]
fn nist_curves_agree_as_rfc_5903() {
    for exchange in RFC_5903 {
        check(exchange);
    }
}

/// RFC 7748 §6.1.
#[test]
fn x25519_agrees_as_rfc_7748() {
    check(&RFC_7748);
}

/// RFC 7748 §5.2: scalars and coordinates whose spare bits are set, and the first thousand of the chain.
#[test]
fn x25519_multiplies_as_rfc_7748() {
    for (scalar, coordinate, answer) in RFC_7748_PRODUCTS {
        let private = import(GroupId::X25519, &hex(scalar)).expect("a scalar");
        assert_eq!(*private.agree(&hex(coordinate)).expect("a product"), hex(answer));
    }
    let mut scalar = [0; 32];
    scalar[0] = 9;
    let mut coordinate = scalar;
    for round in 1..=1000 {
        let private = import(GroupId::X25519, &scalar).expect("a scalar");
        let product = private.agree(&coordinate).expect("a product");
        coordinate = scalar;
        scalar.copy_from_slice(&product);
        if round == 1 {
            assert_eq!(scalar[..], hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(scalar[..], hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

/// `data/vectors.py`, by Python's integers and the formulas of RFC 3526.
#[test]
fn modp_groups_agree_as_plain_integers_do() {
    for group in [GroupId::Modp2048, GroupId::Modp3072, GroupId::Modp4096] {
        let v = |name: &str| vector(&format!("{group}.{name}"));
        let (a, b) = (import(group, &v("a")).expect("a"), import(group, &v("b")).expect("b"));
        assert_eq!(a.public(), v("public_a"));
        assert_eq!(b.public(), v("public_b"));
        assert_eq!(*a.agree(&v("public_b")).expect("agreed"), v("shared"));
        assert_eq!(*b.agree(&v("public_a")).expect("agreed"), v("shared"));
    }
}

/// RFC 7296 §2.14: g^ir keeps the zeros in front.
#[test]
fn a_modp_secret_keeps_its_leading_zeros() {
    for group in [GroupId::Modp2048, GroupId::Modp3072, GroupId::Modp4096] {
        let v = |name: &str| vector(&format!("{group}.{name}"));
        let shared = import(group, &v("zeros_private")).expect("a").agree(&v("public_a")).expect("agreed");
        assert_eq!(*shared, v("zeros_shared"));
        assert_eq!((shared[0], shared.len()), (0, group.public_len()));
    }
}

#[test]
fn private_values_outside_the_group_are_not_imported() {
    for (group, order) in [
        (GroupId::Ecp256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        (GroupId::Modp2048, "00"),
    ] {
        let order = hex(order);
        assert!(import(group, &order).is_err(), "{group}: the order");
        assert!(import(group, &vec![0; order.len()]).is_err(), "{group}: zero");
        assert!(import(group, &vec![1; 600]).is_err(), "{group}: too long");
    }
    assert!(import(GroupId::X25519, &[1; 31]).is_err());
}

/// RFC 4754 §8.
#[test]
fn ecdsa_verifies_as_rfc_4754() {
    for signed in RFC_4754 {
        let key = load(signed.scheme, signed.private);
        assert!(key.public_key().ends_with(&hex(signed.public)));
        let verify = |provider: &tidegate_ike::crypto::Provider, message: &[u8]| {
            (provider.verify)(VerifyInput {
                public_key: key.public_key(),
                scheme: signed.scheme,
                encoding: SignatureEncoding::Fixed,
                message,
                signature: &hex(signed.signature),
            })
        };
        for provider in providers() {
            assert_eq!(verify(provider, b"abc"), Ok(()), "{}", provider.name);
            assert!(verify(provider, b"abd").is_err());
        }
    }
}

/// RFC 6979 §A.2.5 to §A.2.7.
#[test]
fn the_seeded_provider_signs_as_rfc_6979() {
    for (scheme, private, r, s) in RFC_6979 {
        let signature = load(*scheme, private)
            .sign(*scheme, SignatureEncoding::Fixed, b"sample", &mut SeededRandom::new(0))
            .expect("a signature");
        assert_eq!(signature, [hex(r), hex(s)].concat());
    }
}

/// RFC 8032 §7.1.
#[test]
fn ed25519_signs_as_rfc_8032() {
    for (seed, public, message, signature) in RFC_8032 {
        let der = [hex("302e020100300506032b657004220420"), hex(seed)].concat();
        for provider in providers() {
            let key = (provider.load_key)(&der).expect("a key");
            assert!(key.public_key().ends_with(&hex(public)));
            let made = key
                .sign(
                    SignatureScheme::Ed25519,
                    SignatureEncoding::Der,
                    &hex(message),
                    &mut SeededRandom::new(0),
                )
                .expect("a signature");
            assert_eq!(made, hex(signature), "{}", provider.name);
        }
    }
}

fn check(exchange: &Exchange) {
    let Exchange { group, private_i, public_i, private_r, public_r, shared } = exchange;
    let i = import(*group, &hex(private_i)).expect("a private value");
    let r = import(*group, &hex(private_r)).expect("a private value");
    assert_eq!(i.public(), hex(public_i), "{group}");
    assert_eq!(r.public(), hex(public_r), "{group}");
    assert_eq!(*i.agree(&hex(public_r)).expect("agreed"), hex(shared), "{group}");
    assert_eq!(*r.agree(&hex(public_i)).expect("agreed"), hex(shared), "{group}");
}

/// A key on a curve from its scalar alone, wrapped as SEC1 wants it.
fn load(scheme: SignatureScheme, scalar: &str) -> Box<dyn tidegate_ike::crypto::SigningKey> {
    let curve = match scheme {
        SignatureScheme::EcdsaP256Sha256 => hex("a00a06082a8648ce3d030107"),
        SignatureScheme::EcdsaP384Sha384 => hex("a00706052b81040022"),
        _ => hex("a00706052b81040023"),
    };
    let scalar = hex(scalar);
    let length = |content: usize| u8::try_from(content).expect("a short length");
    let body = [&[2, 1, 1, 4, length(scalar.len())], scalar.as_slice(), &curve].concat();
    let der = [&[0x30, length(body.len())], body.as_slice()].concat();
    (SEEDED.load_key)(&der).expect("a key")
}

struct Exchange {
    group: GroupId,
    private_i: &'static str,
    public_i: &'static str,
    private_r: &'static str,
    public_r: &'static str,
    shared: &'static str,
}

const RFC_7748: Exchange = Exchange {
    group: GroupId::X25519,
    private_i: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    public_i: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    private_r: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    public_r: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    shared: "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
};

/// Scalar, coordinate and product.
const RFC_7748_PRODUCTS: [(&str, &str, &str); 2] = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
];

const RFC_5903: &[Exchange] = &[
    Exchange {
        group: GroupId::Ecp256,
        private_i: "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
        public_i: "
            dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59a
            b1f45b33accf5f58389e0577b8990bb3",
        private_r: "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
        public_r: "
            d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6a
            ac23f046ada30f8353e74f33039872ab",
        shared: "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    },
    Exchange {
        group: GroupId::Ecp384,
        private_i: "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
        public_i: "
            667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa
            9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
        private_r: "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
        public_r: "
            e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571
            dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
        shared: "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
    },
    Exchange {
        group: GroupId::Ecp521,
        private_i: "
            0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d937ba9777
            f5957b2639bab072462f68c27a57382d4a52",
        public_i: "
            0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c2d107564
            941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4
            a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
        private_r: "
            0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a3163e4c2
            f869cca7458aa4a4effc311f5cb151685eb9",
        public_r: "
            00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352f6be64a6
            c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d985207
            7b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
        shared: "
            01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34786859810c06
            b3c715a3a8cc3151f2bee417996d19f3ddea",
    },
];

struct Signed {
    scheme: SignatureScheme,
    private: &'static str,
    public: &'static str,
    signature: &'static str,
}

/// Signatures of "abc".
const RFC_4754: &[Signed] = &[
    Signed {
        scheme: SignatureScheme::EcdsaP256Sha256,
        private: "dc51d3866a15bacde33d96f992fca99da7e6ef0934e7097559c27f1614c88a7f",
        public: "
            2442a5cc0ecd015fa3ca31dc8e2bbc70bf42d60cbca20085e0822cb04235e9706fc98bd7e50211a4a27102fa3549df79
            ebcb4bf246b80945cddfe7d509bbfd7d",
        signature: "
            cb28e0999b9c7715fd0a80d8e47a77079716cbbf917dd72e97566ea1c066957c86fa3bb4e26cad5bf90b7f81899256ce
            7594bb1ea0c89212748bff3b3d5b0315",
    },
    Signed {
        scheme: SignatureScheme::EcdsaP384Sha384,
        private: "0beb646634ba87735d77ae4809a0ebea865535de4c1e1dcb692e84708e81a5af62e528c38b2a81b35309668d73524d9f",
        public: "
            96281bf8dd5e0525ca049c048d345d3082968d10fedf5c5aca0c64e6465a97ea5ce10c9dfec21797415710721f437922
            447688ba94708eb6e2e4d59f6ab6d7edff9301d249fe49c33096655f5d502fad3d383b91c5e7edaa2b714cc99d5743ca",
        signature: "
            fb017b914e29149432d8bac29a514640b46f53ddab2c69948084e2930f1c8f7e08e07c9c63f2d21a07dcb56a6af56eb3
            b263a1305e057f984d38726a1b46874109f417bca112674c528262a40a629af1cbb9f516ce0fa7d2ff630863a00e8b9f",
    },
    Signed {
        scheme: SignatureScheme::EcdsaP521Sha512,
        private: "
            0065fda3409451dcab0a0ead45495112a3d813c17bfd34bdf8c1209d7df5849120597779060a7ff9d704adf78b570ffa
            d6f062e95c7e0c5d5481c5b153b48b375fa1",
        public: "
            0151518f1af0f563517edd5485190df95a4bf57b5cba4cf2a9a3f6474725a35f7afe0a6ddeb8bedbcd6a197e592d4018
            8901cecd650699c9b5e456aea5add19052a8006f3b142ea1bfff7e2837ad44c9e4ff6d2d34c73184bbad90026dd5e6e8
            5317d9df45cad7803c6c20035b2f3ff63aff4e1ba64d1c077577da3f4286c58f0aeae643",
        signature: "
            0154fd3836af92d0dca57dd5341d3053988534fde8318fc6aaaab68e2e6f4339b19f2f281a7e0b22c269d93cf8794a92
            78880ed7dbb8d9362caeacee544320552251017705a7030290d1ceb605a9a1bb03ff9cdd521e87a696ec926c8c10c836
            2df4975367101f67d1cf9bccbf2f3d239534fa509e70aac851ae01aac68d62f866472660",
    },
];

/// Scheme, private key, r and s of "sample".
const RFC_6979: &[(SignatureScheme, &str, &str, &str)] = &[
    (
        SignatureScheme::EcdsaP256Sha256,
        "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ),
    (
        SignatureScheme::EcdsaP384Sha384,
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
        "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    ),
    (
        SignatureScheme::EcdsaP521Sha512,
        "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc
         1466f6d8fbec67db89ec0c08b0e996b83538",
        "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b53
         4931d7d4e8455cc91f9b15bf05ec36e377fa",
        "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff077
         7b1a20f8ccb1dccc43997f1ee0e44da4a67a",
    ),
];

/// Seed, public key, message and signature.
const RFC_8032: &[(&str, &str, &str, &str)] = &[
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b
         d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c
         387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659
         4a7c15e9716ed28dc027beceea1ec40a",
    ),
];

/// 01, 02, … 19.
const RAMP: [u8; 25] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];

/// Key, data and the answers of SHA-256, SHA-384 and SHA-512.
const PRF_HMAC_SHA2: &[(&[u8], &[u8], [&str; 3])] = &[
    (
        &[0x0b; 20],
        b"Hi There",
        [
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
            "
                87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4
                be9d914eeb61f1702e696c203a126854",
        ],
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        [
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            "
                164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd
                caeab1a34d4a6b4b636e070a38bce737",
        ],
    ),
    (
        &[0xaa; 20],
        &[0xdd; 50],
        [
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
            "
                fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807
                b946a337bee8942674278859e13292fb",
        ],
    ),
    (
        &RAMP,
        &[0xcd; 50],
        [
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
            "
                b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063
                a5f19741120c4f2de2adebeb10a298dd",
        ],
    ),
    (
        &[0xaa; 131],
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        [
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
            "
                80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e52
                95e64f73f63f0aec8b915a985d786598",
        ],
    ),
    (
        &[0xaa; 131],
        b"This is a test using a larger than block-size key and a larger than block-size data. The key needs \
          to be hashed before being used by the HMAC algorithm.",
        [
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
            "
                e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15
                134676fb6de0446065c97440fa8c6a58",
        ],
    ),
];
