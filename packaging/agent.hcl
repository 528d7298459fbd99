# /etc/picket/agent.hcl - configuration of picketd: Nomad's format (HCL 1 or JSON), Nomad's keys; picket-config(5) has them all.
#
#   picket config validate /etc/picket/agent.hcl      says everything that is wrong with it
#   systemctl reload picketd                          applies what can be applied, and names what needs a restart
#
# Read before it: /usr/lib/picket/agent.d (what the packages say: with picket-server on the same host, the port of the API is 5646
# and that server is in the list).  What stands here wins.

data_dir = "/var/lib/picketd"

# The local API.  Beyond this host only with a reason: it is not encrypted.
# bind_addr = "127.0.0.1"
# ports {
#   http = 4646
# }

# region     = "global"
# datacenter = "dc1"
# name       = "this-host"          # default: the host name
# log_level  = "INFO"

client {
  enabled = true

  # the servers to register with: host, or host:port (default 4647)
  # servers = ["nomad-1.example.net", "nomad-2.example.net", "nomad-3.example.net"]

  # node_class = "edge"
  # node_pool  = "default"
  # meta {
  #   rack = "r1"
  # }

  # what tasks may not have
  # reserved {
  #   cpu            = 100            # MHz
  #   memory         = 64             # MB
  #   reserved_ports = "22"
  # }

  # folders of this host that jobs may ask for
  # host_volume "certs" {
  #   path      = "/etc/ssl/certs"
  #   read_only = true
  # }
}
