# a whole agent
region = "eu" datacenter = "dc1"
data_dir = "/opt/nomad/data"
bind_addr = "{{ GetPrivateIP }}"
ports { http = 5646 rpc = 5647 serf = 5648 }
advertise { http = "{{ GetInterfaceIP \"eth0\" }}:80" }
client {
  enabled = true
  servers = ["10.0.0.1:4647", "s2"]
  meta { a = 1 "b.c" = "${x}" }
  reserved { cpu = 100 reserved_ports = "22,80,8500-8600" cores = "0-3" }
  host_volume "v" { path = "/srv" read_only = true }
  host_network "n" { cidr = "10.0.0.0/8" }
  template { function_denylist = [] wait { min = "5s" } }
}
server { enabled = true heartbeat_grace = "10s" max_heartbeats_per_second = 50.5 }
plugin "docker" { args = ["x"] config { gc { image = false } volumes { enabled = true } } }
telemetry { statsd_address = <<EOT
x
EOT
}
consul { name = "a" } vault { enabled = false } audit { sink "s" { type = "file" } }
