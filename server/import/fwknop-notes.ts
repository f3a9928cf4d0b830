/** Why settings of access.conf have no counterpart, and how Tock does what they did. Keys are lower case, as in the notes. */
const SECRET =
  "secrets are not carried over: a device gets a new one by its link (tockd device add), which it replaces at once";
const GPG = "there is no GnuPG in Tock: a device's secret rotates by a key agreement (X25519) instead";
const COMMAND =
  "a packet can ask for services and for nothing else: run commands over ssh, once the port is open";
const FORWARD =
  "a packet cannot say where to: a service with to leads its port to another host, for whoever has a grant";

export const ACCESS_NOTES: Readonly<Record<string, string>> = {
  destination: "a service is open on every address of the machine",
  restrict_ports: "nothing opens but the ports of a user's services, so nothing needs to be forbidden",
  key: SECRET,
  key_base64: SECRET,
  hmac_key: SECRET,
  hmac_key_base64: SECRET,
  hmac_digest_type: "there is one form of packet: XChaCha20-Poly1305, which authenticates",
  hmac_type: "there is one form of packet: XChaCha20-Poly1305, which authenticates",
  encryption_mode: "there is one form of packet: XChaCha20-Poly1305",
  gpg_decrypt_id: GPG,
  gpg_decrypt_pw: GPG,
  gpg_allow_no_pw: GPG,
  gpg_require_sig: GPG,
  gpg_disable_sig: GPG,
  gpg_ignore_sig_verify_error: GPG,
  gpg_remote_id: GPG,
  gpg_fingerprint_id: GPG,
  gpg_home_dir: GPG,
  gpg_exe: GPG,
  enable_cmd_exec: COMMAND,
  enable_cmd_sudo_exec: COMMAND,
  cmd_exec_user: COMMAND,
  cmd_exec_group: COMMAND,
  cmd_sudo_exec_user: COMMAND,
  cmd_sudo_exec_group: COMMAND,
  sudo_exe: COMMAND,
  force_nat: FORWARD,
  force_snat: FORWARD,
  force_masquerade: FORWARD,
  forward_all: FORWARD,
  disable_dnat: FORWARD,
  "%include": "one file is read at a time: import the other one too, and put the tables together",
  "%include_folder": "one file is read at a time: import the others too, and put the tables together",
  "%include_keys": "no key is carried over: devices get new secrets by their links",
};

const STANDS =
  "the guard stays as it is when tockd starts, stops or dies; doors shut by the kernel's own timers";
const ALL = "packets are taken from every interface, those that come later too";
const LOG = "tockd writes JSON lines to its standard output: the journal keeps them";
const OWN = "Tock has rules of its own: one guard in the table mangle, or a table inet tock";
const FILES = "[server] state and socket say where Tock keeps things";

/** The same for fwknopd.conf. */
export const FWKNOPD_NOTES: Readonly<Record<string, string>> = {
  pcap_intf: ALL,
  enable_pcap_promisc: ALL,
  pcap_dispatch_count: "there is nothing to tune: packets are read as they come",
  pcap_loop_sleep: "there is nothing to tune: packets are read as they come",
  max_sniff_bytes: "a packet has 144 bytes, or a STUN request of at most 600",
  enable_pcap_any_direction: "packets that come in are looked at, those that go out are not",
  pcap_file: "packets come from the network alone",
  enable_spa_packet_aging: "it cannot be switched off: a packet is of one 30-second step",
  max_spa_packet_age:
    "[clock] past and future say how far a clock may be off, in steps of 30 seconds; 1 and 1 unless changed",
  enable_digest_persistence: "it cannot be switched off: the replay journal outlives restarts",
  digest_file: FILES,
  digest_db_file: FILES,
  rules_check_threshold: "doors shut by the kernel's own timers: nothing needs to look",
  enable_ipt_forwarding: FORWARD,
  enable_ipt_local_nat: FORWARD,
  enable_ipt_snat: FORWARD,
  snat_translate_ip: FORWARD,
  enable_ipt_output: "answers of established connections are the machine's own firewall's business",
  flush_ipt_at_init: STANDS,
  flush_ipt_at_exit: STANDS,
  flush_firewd_at_init: STANDS,
  flush_firewd_at_exit: STANDS,
  exit_at_intf_down: ALL,
  enable_rule_prepend: OWN,
  enable_ipt_comment_check: OWN,
  ipt_input_access: OWN,
  ipt_output_access: OWN,
  ipt_forward_access: OWN,
  ipt_dnat_access: OWN,
  ipt_snat_access: OWN,
  ipt_masquerade_access: OWN,
  enable_destination_rule: "a service is open on every address of the machine",
  enable_nat_dns: FORWARD,
  gpg_home_dir: GPG,
  gpg_exe: GPG,
  locale: "it is not looked at",
  enable_spa_over_http: "a browser sends packets by WebRTC (STUN), to the same UDP port: see the web client",
  enable_x_forwarded_for: "packets come straight to the machine, by UDP",
  allow_any_user_agent: "packets come straight to the machine, by UDP",
  enable_tcp_server: "packets are UDP; where only TCP gets out, knock sequences do",
  tcpserv_port: "packets are UDP; where only TCP gets out, knock sequences do",
  enable_nfq_capture: "packets are read beside the firewall, whatever it does with them",
  nfq_interface: "packets are read beside the firewall, whatever it does with them",
  nfq_port: "packets are read beside the firewall, whatever it does with them",
  nfq_table: "packets are read beside the firewall, whatever it does with them",
  nfq_queue_number: "packets are read beside the firewall, whatever it does with them",
  syslog_identity: LOG,
  syslog_facility: LOG,
  verbose: "tockd run --verbose",
  fwknop_run_dir: FILES,
  fwknop_conf_dir: FILES,
  access_file: FILES,
  fwknop_pid_file: "tockd runs in the foreground; systemd knows its process",
  max_wait_acc_data: "there is nothing to tune",
  enable_external_cmds: "[hooks] run programs of yours after grants",
  external_cmd_open: "[hooks] on_grant runs a program of yours",
  external_cmd_close: "[hooks] on_close runs a program of yours",
  external_cmd_alarm: "[hooks] timeout",
  enable_ext_cmd_prefix: "hooks have TOCK_… in their environment",
  ext_cmd_prefix: "hooks have TOCK_… in their environment",
  udpserv_select_timeout: "there is nothing to tune",
  enable_udp_server: "nothing listens: packets are read beside the firewall, so the port looks shut",
};
