package producer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// pushedTag is a tag that a registry says was pushed. Whose it is and what it names is looked up at the registry that the
// pipelines' bases name: a notification only has that done.
type pushedTag struct{ repository, tag string }

// registryForm is one kind of notification of registries.
type registryForm interface {
	// name is its path below /registries/.
	name() string
	// signedBy names what proves who sent it, as forge's does; none: the end of the address.
	signedBy() []string
	// proof reads what shows who sent it. Its error tells the sender what is missing.
	proof(r *http.Request) (proof, error)
	// read reads the tags that were pushed; ignored says why there are none.
	read(h http.Header, payload []byte) (pushed []pushedTag, ignored string, err error)
}

func registryForms() []registryForm {
	return []registryForm{distributionForm{}, harborForm{}, ghcrForm{}, hubForm{}}
}

func registryFormNames() (names []string) {
	for _, f := range registryForms() {
		names = append(names, f.name())
	}
	return names
}

// authorization is the token of a header Authorization: after Bearer, as the password of Basic, or, where bare, as it is.
func authorization(r *http.Request, bare bool, how string) (proof, error) {
	given, err := one(r.Header, "Authorization")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, how)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return wordProof(password), nil
	}
	scheme, token, ok := strings.Cut(given, " ")
	switch {
	case ok && strings.EqualFold(scheme, "Bearer") && token != "":
		return wordProof(strings.TrimSpace(token)), nil
	case bare && !ok:
		return wordProof(given), nil
	}
	return nil, fmt.Errorf("header Authorization is not Bearer TOKEN: %s", how)
}

// taken are the pushes that name a tag, each once.
func taken(all []pushedTag) (out []pushedTag) {
	seen := map[pushedTag]bool{}
	for _, p := range all {
		p.repository = strings.ToLower(strings.Trim(p.repository, "/"))
		if p.repository != "" && p.tag != "" && !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// distributionForm is that of the CNCF's registry (distribution.github.io/distribution/about/notifications). It sends what is
// in the endpoint's headers, and again until it is answered 2xx or 3xx.
type distributionForm struct{}

func (distributionForm) name() string { return "distribution" }

func (distributionForm) signedBy() []string { return []string{bearerScheme, basicScheme} }

func (distributionForm) proof(r *http.Request) (proof, error) {
	return authorization(r, false, "give the endpoint headers: {Authorization: [Bearer TOKEN]}, with the token of a pipeline's rebuild_on.token_file")
}

func (distributionForm) read(_ http.Header, payload []byte) (pushed []pushedTag, ignored string, err error) {
	var p struct {
		Events []struct {
			Action string `json:"action"`
			Target struct {
				Repository string `json:"repository"`
				Tag        string `json:"tag"`
			} `json:"target"`
		} `json:"events"`
	}
	if err := decode(payload, &p); err != nil {
		return nil, "", err
	}
	if p.Events == nil {
		return nil, "", errors.New("events: is missing: is this a notification of the distribution registry?")
	}
	for _, e := range p.Events {
		if e.Action == "push" {
			pushed = append(pushed, pushedTag{e.Target.Repository, e.Target.Tag})
		}
	}
	return pushed, "no event is the push of a tag", nil
}

// harborForm is that of Harbor (goharbor.io, "Configure Webhook Notifications"), in its own payload format and as CloudEvents.
type harborForm struct{}

func (harborForm) name() string { return "harbor" }

func (harborForm) signedBy() []string { return []string{bearerScheme, basicScheme, "Authorization"} }

func (harborForm) proof(r *http.Request) (proof, error) {
	return authorization(r, true, "give the webhook policy the token of a pipeline's rebuild_on.token_file as its Auth Header")
}

// harborArtifacts are what both formats say of what was pushed.
type harborArtifacts struct {
	Resources []struct {
		Tag string `json:"tag"`
	} `json:"resources"`
	Repository struct {
		FullName string `json:"repo_full_name"`
	} `json:"repository"`
}

func (harborForm) read(_ http.Header, payload []byte) (pushed []pushedTag, ignored string, err error) {
	var p struct {
		Type      string          `json:"type"`
		EventData harborArtifacts `json:"event_data"`
		Data      harborArtifacts `json:"data"`
	}
	if err := decode(payload, &p); err != nil {
		return nil, "", err
	}
	field, what := "event_data", p.EventData
	switch p.Type {
	case "":
		return nil, "", errors.New("type: is missing: is this a notification of Harbor?")
	case "harbor.artifact.pushed":
		field, what = "data", p.Data
	case "PUSH_ARTIFACT":
	default:
		return nil, fmt.Sprintf("event %q is not the push of an artifact: select Artifact pushed in the webhook policy", clip(p.Type)), nil
	}
	if what.Repository.FullName == "" {
		return nil, "", fmt.Errorf("%s.repository.repo_full_name: is missing: is this a notification of Harbor?", field)
	}
	for _, r := range what.Resources {
		pushed = append(pushed, pushedTag{what.Repository.FullName, r.Tag})
	}
	return pushed, "the artifact has no tag", nil
}

// ghcrForm is that of GitHub's container registry: the webhook events registry_package and package (docs.github.com, "Webhook
// events and payloads").
type ghcrForm struct{}

func (ghcrForm) name() string { return "ghcr" }

func (ghcrForm) signedBy() []string { return []string{"X-Hub-Signature-256"} }

func (ghcrForm) proof(r *http.Request) (proof, error) {
	p, err := prefixedProof(r.Header, "X-Hub-Signature-256")
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), "secret_file", "rebuild_on.token_file"))
	}
	return p, err
}

// githubPackage is what both events say of a package.
type githubPackage struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Type      string `json:"package_type"`
	Owner     struct {
		Login string `json:"login"`
	} `json:"owner"`
	Version struct {
		Metadata struct {
			Tag struct {
				Name string `json:"name"`
			} `json:"tag"`
		} `json:"container_metadata"`
	} `json:"package_version"`
}

func (ghcrForm) read(h http.Header, payload []byte) (pushed []pushedTag, ignored string, err error) {
	kind, err := one(h, "X-GitHub-Event")
	if err != nil {
		return nil, "", err
	}
	var p struct {
		RegistryPackage *githubPackage `json:"registry_package"`
		Package         *githubPackage `json:"package"`
	}
	switch kind {
	case "ping":
		return nil, "a ping: the secret is right, and packages that pipelines build on are looked at once they are published", nil
	case "registry_package", "package":
	default:
		return nil, fmt.Sprintf("event %q is not of a package: select the Registry packages event in the webhook's settings", clip(kind)), nil
	}
	if err := decode(payload, &p); err != nil {
		return nil, "", err
	}
	of := p.RegistryPackage
	if of == nil {
		of = p.Package
	}
	switch {
	case of == nil:
		return nil, "", fmt.Errorf("%s: is missing: is this the payload of a package?", kind)
	case !strings.EqualFold(of.Type, "container") && !strings.EqualFold(of.Type, "docker"):
		return nil, fmt.Sprintf("a package of the type %q is no image", clip(of.Type)), nil
	case of.Name == "":
		return nil, "", fmt.Errorf("%s.name: is missing", kind)
	}
	owner := of.Namespace
	if owner == "" {
		owner = of.Owner.Login
	}
	return []pushedTag{{owner + "/" + of.Name, of.Version.Metadata.Tag.Name}}, "the package's version has no tag", nil
}

// hubForm is that of Docker Hub (docs.docker.com, "Docker Hub webhooks"), which signs nothing and sends no header of one's own:
// the token is the end of the address. What a notification can do is little, and the address is never logged here.
type hubForm struct{}

func (hubForm) name() string { return "dockerhub" }

func (hubForm) signedBy() []string { return nil }

func (hubForm) proof(r *http.Request) (proof, error) {
	token := r.PathValue("token")
	if token == "" {
		return nil, errors.New("the address ends without a token: make it /registries/dockerhub/TOKEN, with the token of a pipeline's rebuild_on.token_file")
	}
	return wordProof(token), nil
}

func (hubForm) read(_ http.Header, payload []byte) (pushed []pushedTag, ignored string, err error) {
	var p struct {
		PushData struct {
			Tag string `json:"tag"`
		} `json:"push_data"`
		Repository struct {
			Name string `json:"repo_name"`
		} `json:"repository"`
	}
	if err := decode(payload, &p); err != nil {
		return nil, "", err
	}
	if p.Repository.Name == "" {
		return nil, "", errors.New("repository.repo_name: is missing: is this a notification of Docker Hub?")
	}
	return []pushedTag{{p.Repository.Name, p.PushData.Tag}}, "the push has no tag", nil
}

// maxNotificationBytes is far above any notification but GitHub's, whose payloads have the package's description.
const maxNotificationBytes = 1 << 20

// notificationTime bounds what is done while a registry waits for its answer. All of them wait longer, or again.
const notificationTime = 8 * time.Second
