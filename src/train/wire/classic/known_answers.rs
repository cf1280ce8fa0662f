//! Known answers: what the reference itself wrote into the configs of three trains, one a wire version, after their
//! first station; and the digest and result hash after the second.

use super::collect::stop_digest;
use crate::crypto::hex;
use crate::json::{Object, json};
use crate::train::check::require_ok;
use crate::train::config::TrainConfig;
use crate::train::testing::{at, feed, flip, metas, tampered};
use crate::train::wire::classic::{Classic, V1_1_1, V1_1_2, V2_0};

/// The immutable files of all three trains; the order of `file_list` is another one.
static FILES: [(&str, &[u8]); 5] = [
    ("data.csv", b"a,b\n1,2\n"),
    ("entrypoint.sh", b"#!/bin/sh\necho run >> /opt/pht_results/result.txt\n"),
    ("lib/helper.py", b"print('helper')\n"),
    ("lib-extra/a.txt", b"sibling\n"),
    (
        "query.json",
        b"{\n  \"query\": {\n    \"resource\": \"Patient\"\n  },\n  \"data\": {\n    \"filename\": \"patients.json\"\n  }\n}",
    ),
];

/// Byte strings are hex, keys the base64 of their SPKI.
struct Known {
    wire: &'static Classic,
    file_list: &'static [&'static str],
    session_id: &'static str,
    creator_key: &'static str,
    hash: &'static str,
    signature: &'static str,
    builder_key: &'static str,
    build_signature: &'static str,
    station_key: &'static str,
    digest: &'static str,
    stop_signature: &'static str,
    result_hash: &'static str,
    result_signature: &'static str,
    next_digest: &'static str,
    next_result_hash: &'static str,
}

impl Known {
    fn config(&self) -> TrainConfig {
        let creator = json!({"id": "test-user-id", "rsa_public_key": key_hex(self.creator_key)});
        let signature = json!({"digest": self.digest, "signature": self.stop_signature});
        let stop = json!({"station": "station_1", "eco_system": "tue", "rsa_public_key": key_hex(self.station_key),
            "index": 0, "signature": signature});
        let mut config = json!({
            "source": {"type": "docker_repository", "address": "localhost/pht-reference/master"},
            "creator": creator, "proposal_id": 7, "@id": "2c2cb21f", "session_id": self.session_id,
            "route": [stop], "file_list": self.file_list,
            "result_hash": self.result_hash, "result_signature": self.result_signature,
        });
        config[self.wire.fields.hash] = self.hash.into();
        config[self.wire.fields.signature] = self.signature.into();
        if self.wire.has_build {
            config["build"] = json!({"rsa_public_key": key_hex(self.builder_key), "signature": self.build_signature});
        }
        TrainConfig::parse(config.to_string().as_bytes()).unwrap()
    }
}

fn key_hex(spki: &str) -> String {
    let lines: Vec<&str> = spki.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    hex::encode(pem.as_bytes())
}

#[test]
fn the_trains_of_the_reference_are_sound() {
    for known in [&KNOWN_1_1_1, &KNOWN_1_1_2, &KNOWN_2_0] {
        let config = known.config();
        let wire = config.form();
        assert_eq!(config.wire().name(), known.wire.name);
        assert_eq!(require_ok(wire.collect_creator(&config)).unwrap().len(), 1);
        assert_eq!(require_ok(wire.collect_build(&config)).unwrap().len(), if known.wire.has_build { 2 } else { 0 });
        assert_eq!(require_ok(wire.collect_route(&config)).unwrap().len(), 5);
        let mut check = wire.immutable_check(&config, &metas(&FILES)).unwrap();
        assert_eq!(check.feed().order(), [1, 2, 3, 0, 4]);
        feed(check.feed(), &FILES);
        check.finish().unwrap();
    }
}

#[test]
fn the_chain_of_digests_is_that_of_the_reference() {
    for known in [&KNOWN_1_1_1, &KNOWN_1_1_2, &KNOWN_2_0] {
        let (config, digest) = (known.config(), |text| <[u8; 64]>::try_from(hex::decode(text).unwrap()).unwrap());
        let (stops, session_id) = (config.route().stops(), config.session_id());
        assert_eq!(stop_digest(session_id, &[], &digest(known.result_hash)), digest(known.digest));
        assert_eq!(stop_digest(session_id, stops, &digest(known.next_result_hash)), digest(known.next_digest));
    }
}

#[test]
fn every_digit_of_the_reference_counts() {
    let mut fields = vec![
        "/signature",
        "/hash",
        "/build/signature",
        "/session_id",
        "/result_hash",
        "/result_signature",
        "/route/0/signature/digest",
        "/route/0/signature/signature",
    ];
    for known in [&KNOWN_2_0, &KNOWN_1_1_1] {
        for field in &fields {
            let change = |raw: &mut Object| flip(at(raw, field));
            let config = tampered(&known.config(), change);
            let wire = config.form();
            let all =
                [wire.collect_creator(&config), wire.collect_build(&config), wire.collect_route(&config)].concat();
            assert!(all.iter().any(|check| check.verdict.name() == "broken"), "{field}");
        }
        fields.retain(|field| !matches!(*field, "/signature" | "/hash" | "/build/signature"));
        fields.extend(["/immutable_file_hash", "/immutable_file_signature"]);
    }
}

static KNOWN_1_1_1: Known = Known {
    wire: &V1_1_1,
    file_list: &["entrypoint.sh", "lib/helper.py", "lib-extra/a.txt", "data.csv", "query.json"],
    session_id: "0200b728f811053bc0138906a3c4fb210924101487b816884cdedb6b803445ca6b82decb8cfce7dbd913b8dd27a8b15898b397\
         8c68eb11e1715d23b9b1f6aa78",
    creator_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3xvmYCBJsqgWO5nDdBtJcOFCLSNqi3L1YYjjoI/Rxx+USi5cR6Kgt6Awo1\
         YXgN8r7CMKfmkByOxktocuZam8Iqq7CGWLaYCvISBO9uj5Sbtje+FXsyk206zb0m8LQdnHTXLa2X7rzED923rC/8bnPXHmyBS0HiRo\
         lcaw9TvDbViP4RdN9xCwOJzDhObN99V2DOUqJWlpmH8bbErYMhHhHxvcBSfd+LwlYat7j9K1ESaOmJ04lwg0vbWXWmMHnoiXdHFj7T\
         iibCLuE+XYBERpdEYsTt9oZ9qzmQZr6tLCww6EHQOoYM12qFobknDOe1mIIR900W9QUdEO6hrJGKCqVQIDAQAB",
    hash: "ccd036b07439f6693fa7cc3e5c8de783c2297e007ec082c5c5304622a76ee1000d3fb379297acf7d1c68b5f9e20cc2b58d748b\
         9000a4fe5c211450959b6ef6af",
    signature: "caa71d5db3f8dc441775464cffe3a6926dab8f5e4447eb6947419ebc2185fa299dff6828b1b230f46844567636e9c26e559d75\
         bce370844daaf88163233ee44970c8aa2b05bfafb6f5cb69a653e04bd096bd58cd41773d093f6fa673fb1dbd5854930518e086\
         684ef7395f280e35e9fcdd095ad6d5160288e1870cf92db7638f8f324190afd46d0f8cb817354629b0d757932bbcf62eae83d3\
         4f019a526c66c39ff653498f11a8457be51ae7ab5030c0da18c2e67e25a801741e4344c9f83028c5d3334052797bd8c155596b\
         9e102de03990d0124186c15a52a96ace75214024fc4210e8714c3fda68c90b9921f3e8f7e126a6b5e50d2e21045a98a841f2c2\
         e0",
    builder_key: "",
    build_signature: "",
    station_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAp8vf6oxuHD0PJDgo2EawJft/dVK2C0+bqUrpnVOpb+hcIDxAkacPF+tYji\
         EMFmTrM2hdN1hxeaHUXSlCwCQrjF2Y/eOM1mOz8hZeLC4GgdWAhBUUYj7sMVf90qNo5ZhowDyOUbHHdV06+StVpEQLo0Ol7yQpeHR7\
         bP5tXD+6V23uYShN+iFLG5Y5gHCTQCcF7tzN04jH5IStXTYW8CLjSs/zS6F9DY0kDi5/keK0CTXeeUupkM6YKwHqnJm1keKS3O+jRF\
         YlF0GB/SRrHy829ngZAeJgcOSV/YGAL8eRfE+PDrm3QJckHWVS00ZSx/atFzdNeU+h3nhX0zis7vHbGQIDAQAB",
    digest: "dc88054fd3b650f7827358c8206325a5a9259eede9b5967391e63a8ec26b1e5085970a55cf4307b599da673d142405560bb3c4\
         cb8540bdefd8a2328410eef37f",
    stop_signature: "3b445c457b8eb08356523fce7d24627286097659c05a859b6445b4a1575ca404b9709e5e9e1811cc4d8594a636b88b3eb38cf3\
         a9bc4d9af6644059ba7408eff40a3090804fba37f9a4c5497d33e1498fb72be7b8bd5a341bfd2237c8fb27e393efa3e8b79751\
         368c602df23c6234ecaea449716c818273ae4a03805294319b59efb61b864980d7f8ee8610cb14c46c9a228d160fdc9cad931f\
         df9f60a88b3785cc7d8c584a44cecea1a57b281368376ee9976de2dc709eb7e2951339d8f7949c4863952ed542cb31a5e644e1\
         3d1b07964f0f2810ed5650091d51e67c6c78fc393d155a7266c9edc85d45583220435fbc8bc5e33d8105caf166559f99a8ba6a\
         34",
    result_hash: "8f34220e8edb8956b5aa27dd5796d9c4cbbb3d31c10b3012b69521e610c6f33e6e33020848b56de4faa6f529e5d2ff8eeb64cb\
         b0598948467b1586e8ccfa4919",
    result_signature: "75ad3999ce624096a88a28cd448c2cfeceb006bc7c6d1c72496f29bfbc778b7aeae168d326ae9a0131440e7e8ad5acaa80337e\
         51d7f7b1d78f4e977c2c4f5ec49491ff1fd83338ad8ec25af1be454845072df76eb283ae7ed56760150639b9eba9059753c09b\
         0d1e548ee8171f7d70803ce50268a77c2159e3221f8ec620584cc7599d376f9b1c4516d86a14b3ab569b734d307eba1020f282\
         f5640b4231697028b1431cf400e4c10b517de7455f1d65982ae4f2a0ecc43ebd602a738c943a7c2e4bf6a5ecd4e3b9af0bb507\
         4295656252cf3c9b05d3d104d05b44702da757033afd7522cc16493e6e54e3f0594a002e26c9f6e485e89b6b2e4b8ac474c91b\
         fb",
    next_digest: "7cbc2d37f234b0772da4497f8d4c6131f45de1a8dea0492ca0743b4ccbbc46b4ca6c49c5eb5eb97531a3d7ab76e1d51bb4aca1\
         23863c718599b67e8f22369896",
    next_result_hash: "01f0d75ed444bd1ee78f456d6c43feadf768e3da75c1b85c600d91ba658e1890fef96c96059b95d94ad84ec48897ecadad6d1a\
         bb5d84184dc04c19d6df239903",
};

static KNOWN_1_1_2: Known = Known {
    wire: &V1_1_2,
    file_list: &["entrypoint.sh", "lib/helper.py", "lib-extra/a.txt", "data.csv", "query.json"],
    session_id: "591347e1619fdd4ceb0bf4cee4f4fcc779e07f8987b97f7551ee5fe84a999fd5be996859c58838f3c72fa297c101b9b3485e10\
         6de5790131b94ace368bf4126d",
    creator_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAoZQKqO6ZEooWR2bG08FKZT0Rk2DekUH5DgpUjgZStDIJgR8Fk0lxB/Xaty\
         jyR1cGR3tHXN9UeCq3ijZYBlVNoqCsr3Vq4JBggQpDueAX9DrEoJpgmTM2KIK21K2R+j/OkX/5o9bpmMUAHqYKDznUafKpdKPcTnsr\
         4ZoQKh4vIfVQugfziBEmeOAxdtPCjykowFvbtnE2gAtfCHi94kx+49p+nCgzAx51hPIa4RSAQvwSl7LOHZujntGOCcJG3wh9SFYa9R\
         ftleU2I0cNpSQp4TzcRINrpqmJcvvGy/AZ6XjNb8/y2cVsiV9g9Ar8bLJw37G9F68qyNfsQ27s+T03ZwIDAQAB",
    hash: "7de91ff827ef70dbd55816b6f48050793529554f1a2fb2151549016d4a9be9535ec657ee35739c09a3b208ab38c21359491060\
         b05567a678a9afa49bcef7b5be",
    signature: "99eb71ae262b47c2720bb47859ded38e291d68c67a5dc05a39373e0c2982ecb9ff8934c1ccf97b86b2c04bf205a3ba14d64799\
         fd61d08be884573d20c345a7e7acb49528942445f6307e42170dc61541d27e8119c6af00af1596ef1ed0ee8c9d9a9869a6d61c\
         b06c61f064268280600bce59e28b333f9cad672d4f4c011b0ce2b54846d37a52be863d5749f38af73cc8bb0d1fc554dd6689bb\
         00478eb76f17c0fc1afaa5bb82b9bf070ce26265dda478dc30260d376ee41972cf906fa65a4d7a542019fefa1bcdd0269c5816\
         fcede478c21007a19262a18af30c1becc0704a81b0c387f4854a0adef529944787bdeb0837396de856a8187b309d501fc81958\
         ea",
    builder_key: "",
    build_signature: "",
    station_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAs5omDfOChhqouYfCq0kkmem/ti3hvYqC9wJPo9NQcXolFiR6T9pXt3yAEg\
         XxMlcG8zUzrttixOqV9Bx4AWiHeVn9sO/VAeCelxZSmhXxGvfFeDUy73V9ojAbZtO2U95HhedfG2YFLH1FXy5OjdDngKy9bMij1la0\
         G/dZFkJtiZ/mC2Fq847UpIDpmCrmMjDqh06mdUypEYF1Cam7+tAsHSF5KQEOP5woVHn6ZB4w5xI72lDIDshX27dr9ULs1C+ZOSw/xL\
         Eq+cFE8dlKWaKVyNvv+pKYsW6EPLK+Z/RuuMHNk+MbE5iqNRZqaV8pir86ZaR3rpvgN0Oru2Rc0tvRbQIDAQAB",
    digest: "7221c720f04e6016a045cc2999ac50800708db6a424240603bec16661560626e551d05913632d4af53c08ddb594de6912bf837\
         24f410b5116305246e82f39d00",
    stop_signature: "a136b7d251636b58b9ecc5f152f4cad3fb09b47895b90dde8b2062e9764a0723b902902f1f9e3b580a9b950890a031ea9fcaf8\
         52085c628dd80f941a809cb568e450c99bccc5bbc91cf27a6547dad6128dd59beff0f66b61c0e7a92ac4de4602d8a446d6454c\
         0227e6640652a372493b618b19c19fe130652051e09de0e02891e9af38d195fe5c2ca7c8450382d3c03b5411e0790a5d84ceaf\
         b3ecb1502456ea40fd8123c7048ab3efa3c209757035573439ee785be1d3c5de6416f927c319bc4bfd2e5d72b034e9fded22d6\
         b9ca4e6d64dddc1e3c6ff6fb125f824cc7358a08c924e42f396a87aa0ea59c4b96987e35d044f515c8aa6728ff6df9cdbf2a77\
         c9",
    result_hash: "071e11ad909cdfcb124533c84c3e32f378a5239dbf2949a0bffd89391532f6304e220c8f24802961808e8e2a3d959ebaa1d447\
         5a59de39a60c0fc0dd94c09092",
    result_signature: "7f8421c2b0ac4b32effe448e7e48e60a6b089164ba1358c73657bcb8d762a5f62e247416a19ba97ed3572c255531d4f85e065e\
         62fc901e29f4ddd92e77d7ed51e5579b4c270827962fd99286f37a42d927bd28e1586a80a2091840e7000e47665a4833183ae0\
         bfba576d7a7631cb8c4cc45a0acd2510ab9501e116a02ce96fdf76361d797339d0c1ebec8515fcb59eda5e150abcfdf2bb99a8\
         a4814ad693c65653fe14ad787b365f35646d4b299193bf459c60795b2ace277d32356f28c1654dd3a386b5f71c9fa88f075f1f\
         d7ec94bac4b5d92c1013b4809193d39de2f4e5fc20fe5ed6be1a9596501d892fbc18e9070d4466bdc3710daf48038ce16d8649\
         13",
    next_digest: "c0af971666e9bdec5b453c214da7434254c0335b132bd9538528bcff093bc0710ae2f5979ad9e69b9cce9e482ab844b2b2184e\
         bf3b4aeee217c63ace287e73cd",
    next_result_hash: "5947e6c4c1adcdc26a831807118804c1c426a6c7a3bf4d2e0404096e739fa64dd17c41c328893c3a2cfa1355917fae76f15eb1\
         ee93f3398206174ec2ab6696d7",
};

static KNOWN_2_0: Known = Known {
    wire: &V2_0,
    file_list: &["entrypoint.sh", "lib/helper.py", "lib-extra/a.txt", "data.csv"],
    session_id: "cc873b5b1066780cd14a520359e83770cae2177bd41a27abbd9e44fb0ca498ed2c0d2c4833b6af0812e3ce8e678bbc68da8f4b\
         50c432ab3172d6963fa32efbac",
    creator_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr82fxda/IGfXV4CDOrv01Xu5g4rT1vCaNmxDEKkBlCYkoEF+pYT464X2l+\
         fkpHHnOkm+fPI+Ch1bUbBXw0T3QxF3uM+BERlP/KN4FTIvHUUziejlFg4DcwV/oR96RFRkX4j+2yO9LVACSgVr13+sIj3G/fZhnpKb\
         bT8zigWmuA3FUrHHGpJc7jxACuCYfvwLZGKz1m6zonrJ8eYN+t/04vk34HqAAA94ojQKXgu9+9fFy6wqEecwewrSrLCqhPDhLTyuz4\
         h2I1wSIelXtr+MZn7sU4WKRSHHL4v5wimv0NvgqKqcCiY2rQS6EleLjThcWN8aewp54Ke/Z7hkxQDb/QIDAQAB",
    hash: "bd8aacd94c96f9442033ae4b4cc7fc0b82afeb1e0f2e0f05940fe16930cf3c5460b82ad69522cd18167b89e9967849cce73b33\
         e17d4f1ce2909594b9df6b16ad",
    signature: "4ba178cac8bdb052423e193576753be88cb394c9ed9bded18bf19cdebe5092cedf88324c420d83e5ced2fc73475f108252794c\
         7cd7f0318d359dd0b8e052b98f2ab9fdd004be23ee4976277760d87d6f3cdac684d1e5324cc7ab29d0ed9da59b0482934ba618\
         d4184cfa4fa0de3a7bf26c9ed41663aae5744919a8b5c3375e742963a79ea72c9cb0a81d59b13a306636bccc1eec755a83b975\
         b21051e471859d3ee68d4b279e2a3f7ed558283f0618cde141aaa030f760a04f63a5da674910370a24b9ddc8d44603541cf753\
         c7ff5137afa43770b85f4404b5fe889f409e18f9d0c6d61ff3965dde5a4c5469179e06ea183874d6da837c54815ca223eebeea\
         2c",
    builder_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAw0hh2ro3WSCBe8zupHdBLxEOFZnYeSNW7UaMilGx+2qzkKWKtrlw/uvs8b\
         185b8npsaD5IjXKRHcHe/YyIL9Q8d976yUMVpUP57Hsrw3u9At6u19ty/2Lmeq9w2PZdEpkXBZzSUB29Cokeb+3M0yeVRvwRtoDxPG\
         iOZrs7DwP8WA4Z3A3uEB8juQqvItIVMsCRifpRm6xiPkC3s53HRNvd5cfSjC8epiYZSxCn/JPilJUAnAE0LYX/26LqmiK+X942jBZC\
         7sexnYh2fFevaISbted+VYL5RoUMvOaKwV1XmXO+w5DxBMn0zAu0pShgmPXBP/Av1/Sdf9Of+J3xlp5QIDAQAB",
    build_signature: "58a79d2aac2f82bbdb18eaa3769916699776d58874b2765f073f324fff4bf44187adf060cda1258ab48b29563c21ca7bdaa0e0\
         47124f4e95f3bdfa8b39248b494a2da3675d62e5ecd6750686b0fe1e8c887e8716e3e05d47497494b34efe6c72e20b9c21bba6\
         88d8c55e47e10098c3e6b3d57ca77ff97371869b6b242cccdb3a1d550e8c91b8af1bb8845dc5c67cfd4f2e5a156585d4152fee\
         01fca88f4feb27fef6e98a400011a1587948c3ad4aa3b28d56252f0add9b7c07527a303ef67a3d93fbc8040bc648d933538b13\
         491f1a5b0d957ac7f416ba4b6b43326a7ddbf54bd218a0e4bb7dae0cd81fe516ac2a0eec3ced2e34879e0f815a359cc22cba1b\
         f3",
    station_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAt0x6lg4/6oKSY4YhLLfrusQZoTbRpatd2war8NUIm2ohcvixKCoMMc8U7b\
         YgxYUmJMk79vToR16Tgw1x//KXJP9XuBsd+aSNtn0yl1j2JbAtLzKv1NUIcZ9kbus15mq4NyHkfF7hlG7Vxk0dYGruUX0v/UKOD5FM\
         s2HGXvyRUdcNcRHJ+TO9WvR0TeKQbMqpdfv3OQdNaq6iilRwCjARnPZKuDt5115Y3pB/15hyZbfr4s+5o+I3XbVYd2sjuiw0LlxF9x\
         BM6FsAv1HbGfrazzaqPlh1gSdxad+itKs9tWatuB9sP+5DqmTlXAvYdWzoNivQabEBkN+B+kxtpN+vfQIDAQAB",
    digest: "3d03662aaeac66b20738eb5938ba1f25dc9c1fe182d1a0e5cd0255be52714c6f38f30002dee53576e508758ef1dcf6875630e1\
         d35bee110a3811c42daac862ba",
    stop_signature: "72bea999ac21a8b13e08716463ccbc49f28c6908d886bebd147cafa68d6a73352773f5e8d9f834106e5b3c20c19c4c1bb511eb\
         639565c457c1d22fba25ae19f9f35cc014bfa5d8ed942f59a0167585d88901d4c34ead1515165a0ab6809c2d78c9d8caf2afb6\
         d9313d229d597b1e49511e33f588dc85da48f2e8351952aa1d30aff767adcc03c2d10a012ec7d85858016e48470d6faf4215a8\
         ef360b963d45723a0dd7489079afab7e2c24098e61e7e77d9824d2d5108cc2459c25922a8974216aa9201422b641681e05a7c6\
         b3e70fcac3e8e23956d715264ea5132be2e97f966edfa3b37f9df63b491d3ba5267160576fbb959bbf64bb307f9f14ef15ec77\
         01",
    result_hash: "a733ba9ed0e77978f66cd3b4bfe72f7e133b5684c35bc8b2fb61245d003cfbe31441a5ba1eb1d522c39d8f9c1dbb92add34580\
         3a7234a2346d4b6f814c19a4a6",
    result_signature: "189e46d34e24f167df1fe58b74c0f2a9d46470cf64498b643b43c44a5429773c5d85196ca1d3e0086d2c6dc5371e18f60d2aee\
         d0cd4df05cc07ac6ecf41733c3b303553fad06a1c96ecbe67a068cc12992770e8228a0019209f882fe757af40f3b78d06d478e\
         9f47ae312b998c6892434e760b8350c340329ca1ef53c098468e1eae962c39a369f01a12c8c23113515d279b26001105a4f2a7\
         b0440a3987f49a26dfe8a2d2def19e149439957b1162075404883de3ca457f4e90602373f491a430a8ccc458a0cdbe9e731f2b\
         a810d9ef985e372b9d4ca2027776862b3741656fb8d43208fd89922c60be631382b3f1e0a12a73af01170ef53c99f52d8d9fdf\
         7c",
    next_digest: "da38749aa10828989fd4bba1a9d07d8b39811e6e087c19044652f8ec594e297b6f5d0815bae3fee0489e7836f1feed5c0a5ccb\
         4c5ff2d6eddd6aeed88c945850",
    next_result_hash: "8e8e3e232896fe33b3b3a3ea45f99456f4c357e65d54e382b66644b6ef70274b04f2c460a8672a4a92ccb1be87a22ec72165a2\
         d5d1d5c9755732ffff19ead607",
};
