c = get_config()  # noqa: F821 - JupyterHub gives it

c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"

IMAGE_FILE = "/var/lib/fenceline/image"


def current_image(spawner):
    """The image that a server starts from: the fleet's current one, as this machine holds it."""
    with open(IMAGE_FILE) as f:
        spawner.image = f.read().strip()


c.Spawner.pre_spawn_hook = current_image
c.DockerSpawner.pull_policy = "ifnotpresent"  # it is there already
# A server that was stopped starts from the image of today, not from its old container.
c.DockerSpawner.remove = True
