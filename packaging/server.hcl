# /etc/picket/server.hcl - configuration of picket-server: Nomad's format (HCL 1 or JSON), Nomad's keys; picket-config(5) has them all.
#
#   picket config validate /etc/picket/server.hcl     says everything that is wrong with it
#   systemctl reload picket-server                    applies what can be applied, and names what needs a restart

data_dir = "/var/lib/picket-server"

# Only this host until you decide otherwise: neither port is encrypted or asks who you are.  For a fleet, on a network of its own:
#   bind_addr = "10.0.0.1"          # and no advertise block
bind_addr = "127.0.0.1"
advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
}

# ports {
#   http = 4646
#   rpc  = 4647
# }

# region    = "global"
# log_level = "INFO"

server {
  enabled = true

  # heartbeat_grace        = "10s"
  # min_heartbeat_ttl      = "10s"
  # max_heartbeats_per_second = 1000
}
