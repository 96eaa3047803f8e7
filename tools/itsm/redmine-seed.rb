# What a site has in its Redmine before the bridge comes: a project for each tenant and one for a team, the fields of
# `examples/redmine`, the bridge's user and two people who may work there. Prints `name key` for each.
Setting.rest_api_enabled = '1'
Setting.default_language = 'en'
tracker = Tracker.find_by!(name: 'Bug')
projects = %w[acme globex database].map do |name|
  Project.create!(name: name, identifier: name, is_public: false, trackers: Tracker.all.to_a,
                  enabled_module_names: %w[issue_tracking])
end
%w[bw_incident bw_cause bw_impact bw_team].each do |name|
  IssueCustomField.create!(name: name, field_format: 'string', is_for_all: true, is_filter: true, max_length: 255,
                           searchable: true, trackers: Tracker.all.to_a)
end
# Whoever may manage may set every status; Redmine's own table does the rest.
role = Role.find_by!(name: 'Manager')
%w[bellwether ana boris].each do |name|
  user = User.new(firstname: name.capitalize, lastname: 'Test', mail: "#{name}@redmine.test", language: 'en')
  user.login = name
  user.password = user.password_confirmation = SecureRandom.hex(16)
  user.save!
  projects.each { |project| Member.create!(user: user, project: project, roles: [role]) }
  puts "#{name} #{user.api_key}"
end
raise 'no tracker' unless tracker
