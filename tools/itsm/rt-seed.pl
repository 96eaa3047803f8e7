# What a site has in its Request Tracker before the bridge comes: a queue for each tenant and one for nobody
# in particular, the fields of `examples/request-tracker`, the bridge's user, and two people.
our (@Queues, @CustomFields, @Users, @ACL);
@Queues = map { { Name => $_, Description => "queue $_", CorrespondAddress => "$_\@rt.test",
                  CommentAddress => "$_-comment\@rt.test", SLADisabled => 1, Lifecycle => 'default' } }
    qw(acme globex database dispatch);
@CustomFields = map { { Name => $_, Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => 0 } }
    qw(bw_incident bw_revision bw_cause bw_impact bw_team);
@Users = map { { Name => $_, EmailAddress => "$_\@rt.test", Privileged => 1 } } qw(bellwether ana boris);
@ACL = map { my $user = $_; map { { UserId => $user, Right => $_ } }
    qw(SeeQueue ShowTicket ShowTicketComments CreateTicket ReplyToTicket CommentOnTicket ModifyTicket DeleteTicket
       OwnTicket TakeTicket StealTicket SeeCustomField ModifyCustomField SetInitialCustomField ManageAuthTokens) }
    qw(bellwether ana boris);
1;
