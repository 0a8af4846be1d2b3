import catalogue from './catalogue'
import common from './common'
import forYou from './forYou'
import frame from './frame'
import health from './health'
import item from './item'
import model from './model'
import notices from './notices'
import scenarios from './scenarios'
import search from './search'
import user from './user'
import why from './why'

export default { common, frame, forYou, why, search, item, user, catalogue, scenarios, model, health, notices }
