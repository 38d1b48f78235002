job "app" {
  group "app" {
    task "app" {
      driver = "docker"

      template {
        data        = "{{ with nomadVar \"nomad/jobs/app\" }}IMAGE={{ .image }}{{ end }}"
        destination = "secrets/image.env"
        env         = true
        change_mode = "noop" # what runs keeps its image until it is restarted
      }

      config {
        image = "${IMAGE}"
      }
    }
  }
}
