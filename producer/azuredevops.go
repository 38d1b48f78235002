package producer

import (
	"errors"
	"fmt"
	"regexp"
)

// Azure DevOps' service hooks can't sign, nor send another body than their own (learn.microsoft.com,
// "Service hooks events", Code pushed). They are generic webhooks that give the secret as a password.

// azurePush is what names its event of a push.
const azurePush = "git.push"

// azurePayload is its body.
type azurePayload struct {
	Resource struct {
		RefUpdates []struct {
			Name string `json:"name"`
			Old  string `json:"oldObjectId"`
			New  string `json:"newObjectId"`
		} `json:"refUpdates"`
		Commits []struct {
			ID      string `json:"commitId"`
			Comment string `json:"comment"`
		} `json:"commits"`
		Repository struct {
			RemoteURL     string `json:"remoteUrl"`
			DefaultBranch string `json:"defaultBranch"`
		} `json:"repository"`
		PushedBy struct {
			UniqueName  string `json:"uniqueName"`
			DisplayName string `json:"displayName"`
		} `json:"pushedBy"`
	} `json:"resource"`
}

// azureMadeUp is the repository of what the button Test sends, as it has been named in the course of years.
var azureMadeUp = regexp.MustCompile(`^https://(fabrikam-fiber-inc\.visualstudio\.com|dev\.azure\.com/fabrikam-fiber-inc)/`)

// readAzure reads the body of a service hook.
func (d *delivery) readAzure(kind string, payload []byte) error {
	if d.kind = kind; kind != azurePush {
		d.ignored = notAPush(kind, "choose the trigger Code pushed")
		return nil
	}
	var p azurePayload
	if err := decode(payload, &p); err != nil {
		return err
	}
	r := &p.Resource
	if azureMadeUp.MatchString(r.Repository.RemoteURL) {
		d.ping = &ping{events: []string{"push"}}
		return nil
	}
	if r.Repository.RemoteURL == "" {
		return errors.New("resource.repository.remoteUrl: is missing: have the service hook send all resource details")
	}
	pusher := r.PushedBy.DisplayName
	if pusher == "" {
		pusher = r.PushedBy.UniqueName
	}
	messages := make(map[string]string, len(r.Commits))
	for _, c := range r.Commits {
		messages[c.ID] = c.Comment
	}
	for i, u := range r.RefUpdates {
		e := event{repositories: []string{r.Repository.RemoteURL}, ref: u.Name, before: u.Old, commit: u.New, message: messages[u.New], pusher: pusher}
		if err := e.check(fmt.Sprintf("resource.refUpdates[%d].name", i), fmt.Sprintf("resource.refUpdates[%d].newObjectId", i)); err != nil {
			return err
		}
		d.events = append(d.events, e)
	}
	return nil
}
