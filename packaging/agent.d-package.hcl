# of the package picket-agent; change /etc/picket/agent.hcl instead, which is read later and wins

data_dir = "/var/lib/picketd"

client {
  enabled = true
}
