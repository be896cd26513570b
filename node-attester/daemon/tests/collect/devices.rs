use std::{fs, path::Path};

use podseal_node_attester::collect::{CollectError, nsm, nsm_message::Request, sev_guest};

#[cfg(target_arch = "x86_64")]
use crate::traced;

#[test]
fn a_device_that_is_missing_or_another_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("device");
    let sev = |path: &Path| sev_guest::collect(path, &[1; 64], 0).unwrap_err();
    let nsm = |path: &Path| nsm::collect(path, &Request::default()).unwrap_err();
    for (error, remedy) in [(sev(&file), "modprobe sev-guest"), (nsm(&file), "evidence.nsm")] {
        assert!(matches!(&error, CollectError::File { step: "open", .. }), "{error}");
        assert!(error.to_string().contains(remedy), "{error}");
    }
    fs::write(&file, b"no device").unwrap();
    for (error, call) in [(sev(&file), "SNP_GET_REPORT"), (nsm(&file), "NSM_IOCTL_RAW")] {
        assert!(matches!(&error, CollectError::File { step, .. } if *step == call), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"no device");
}

/// A site whose devices are there, and a TPM that is not.
#[cfg(target_arch = "x86_64")]
fn site() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    for device in ["sev-guest", "nsm"] {
        fs::write(dir.path().join(device), b"").unwrap();
    }
    let config = format!("{}privlevel = 2\n", crate::doctor::CONFIG)
        .replace("DIR", dir.path().to_str().unwrap())
        .replace("TCTI", "device:/nonexistent/tpm");
    (dir, config)
}

#[cfg(target_arch = "x86_64")]
fn bytes(hex: &serde_json::Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_drivers_get_what_their_headers_say() {
    let ((dir, config), mut seen) = (site(), Vec::new());
    let said = traced::doctor(dir.path(), &config, |opcode, memory, argument| match opcode {
        traced::NSM_RAW => {
            let [request, length, response, room] = [0, 8, 16, 24].map(|at| memory.number(argument + at));
            seen.push((opcode, memory.read(request, length)));
            assert_eq!(room, 0x3000);
            let answer = b"\xa1\x6bAttestation\xa1\x68document\x44cose";
            memory.write(response, answer);
            memory.write(argument + 24, &(answer.len() as u64).to_le_bytes());
            0
        }
        traced::SNP_GET_EXT_REPORT => {
            let [request, response, table] =
                [memory.number(argument + 8), memory.number(argument + 16), memory.number(memory.number(argument + 8) + 96)];
            assert_eq!(memory.read(argument, 1), [1], "the messages' version");
            let (data, vmpl) = (memory.read(request, 64), memory.read(request + 64, 32));
            assert_eq!(vmpl, [vec![2, 0, 0, 0], vec![0; 28]].concat());
            let room = memory.read(request + 104, 4);
            seen.push((opcode, data.clone()));
            if room != 4096_u32.to_le_bytes() {
                assert_eq!(room, [0; 4]);
                memory.write(request + 104, &4096_u32.to_le_bytes());
                memory.write(argument + 24, &(1_u64 << 32).to_le_bytes());
                return -5;
            }
            memory.write(table, &crate::snp::table());
            memory.write(response, &[0_u32.to_le_bytes(), 0x4a0_u32.to_le_bytes()].concat());
            memory.write(response + 0x20, &crate::snp::report(&data));
            0
        }
        other => panic!("{other:#x}"),
    });
    let data = bytes(&said["report_data"]);
    let request = Request { nonce: Some(&data), ..Request::default() }.encode();
    let extended = (traced::SNP_GET_EXT_REPORT, data);
    assert_eq!(seen, [extended.clone(), extended, (traced::NSM_RAW, request)]);
    let source = |name| crate::doctor::source(&said, name);
    assert_eq!(source("sev-guest")["facts"]["certificates"], "VCEK, ARK, OTHER", "{said}");
    assert_eq!(source("nsm")["files"][1], serde_json::json!({"name": "nitro/document.cose", "bytes": 4}), "{said}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_firmware_and_host_refuse_is_told_by_its_code() {
    // (result and errors of the extended request, of the plain one, status in the response; what is said)
    for (extended, plain, status, wanted) in [
        ((-22, 0), (0, 0), 0, None),
        ((-5, 0x16), (-5, 0x16), 0, Some("the AMD Secure Processor refused with 0x16")),
        ((-5, 2 << 32), (-5, 2 << 32), 0, Some("the host refused with 0x2")),
        ((-25, 0), (-25, 0), 0, Some("SNP_GET_REPORT: Inappropriate ioctl")),
        ((-22, 0), (0, 0), 0x16, Some("the AMD Secure Processor refused with 0x16")),
    ] {
        let (dir, config) = site();
        let said = traced::doctor(dir.path(), &config, |opcode, memory, argument| {
            let (result, errors): (i64, u64) = match opcode {
                traced::SNP_GET_EXT_REPORT => extended,
                traced::SNP_GET_REPORT => plain,
                _ => (-5, 0),
            };
            if opcode != traced::NSM_RAW {
                memory.write(argument + 24, &errors.to_le_bytes());
            }
            if result == 0 {
                let (request, response) = (memory.number(argument + 8), memory.number(argument + 16));
                memory.write(response, &[u32::to_le_bytes(status), 0x4a0_u32.to_le_bytes()].concat());
                memory.write(response + 0x20, &crate::snp::report(&memory.read(request, 64)));
            }
            result
        });
        let found = crate::doctor::source(&said, "sev-guest");
        match wanted {
            Some(wanted) => assert!(found["error"].as_str().unwrap().contains(wanted), "{found}"),
            None => assert_eq!(found["facts"]["certificates"], "none from the host", "{found}"),
        }
        assert!(crate::doctor::source(&said, "nsm")["error"].as_str().unwrap().contains("Input/output error"), "{said}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn lengths_that_a_driver_makes_up_are_refused() {
    let (dir, config) = site();
    let said = traced::doctor(dir.path(), &config, |opcode, memory, argument| {
        if opcode == traced::NSM_RAW {
            memory.write(argument + 24, &u64::MAX.to_le_bytes());
            return 0;
        }
        memory.write(memory.number(argument + 8) + 104, &u32::MAX.to_le_bytes());
        memory.write(argument + 24, &(1_u64 << 32).to_le_bytes());
        -5
    });
    for (name, wanted) in [("nsm", "longer than 12288 bytes"), ("sev-guest", "longer than 131072 bytes")] {
        assert!(crate::doctor::source(&said, name)["error"].as_str().unwrap().contains(wanted), "{said}");
    }
    fs::remove_file(dir.path().join("traced.toml")).unwrap();
    let said = traced::doctor(dir.path(), &config, |opcode, memory, argument| {
        if opcode != traced::NSM_RAW {
            let response = memory.number(argument + 16);
            memory.write(response, &[0_u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat());
        }
        0
    });
    assert!(crate::doctor::source(&said, "sev-guest")["error"].as_str().unwrap().contains("found 0 bytes, wanted 1184 bytes"), "{said}");
}
