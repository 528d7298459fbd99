# of the package picket-server: an agent on the same host leaves it the port, and registers with it

ports {
  http = 5646
}

client {
  servers = ["127.0.0.1:4647"]
}
